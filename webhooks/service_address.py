"""The address that a call is sent to, from what a user types: the service's or a platform's."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

DEFAULT_PLATFORM = "retell"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_WEBHOOK = re.compile(r"(?P<before>.*?)/webhooks/(?P<platform>[^/]+)/?")


class WrongAddress(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True)
class ServiceAddress:
    url: str  # of the platform's webhook
    platform: str
    path: str  # of the webhook, for a signature of another host


def service_address(text: str, platform: str | None) -> ServiceAddress:
    """`text` is the address of the service or of one platform's webhook, with or without a scheme;
    `platform` is the one that the user has chosen. Raises WrongAddress."""
    parts = urlsplit(text if _SCHEME.match(text) else f"{_scheme_of(text)}://{text}")
    try:
        is_complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # the port is no number
        is_complete = False
    if not is_complete:
        raise WrongAddress(f"{text!r} is not an address such as https://siftly.example.com.")
    found = _WEBHOOK.fullmatch(parts.path)
    in_address = found["platform"] if found else None
    if in_address and platform and platform != in_address:
        raise WrongAddress(f"The address is of {in_address}, and --platform is {platform}.")
    name = in_address or platform or DEFAULT_PLATFORM
    own_path = f"/webhooks/{name}/"
    path = parts.path if found else parts.path.rstrip("/") + own_path
    return ServiceAddress(urlunsplit(parts._replace(path=path, fragment="")), name, own_path)


def _scheme_of(text: str) -> str:
    """http for this machine and a private network, where nothing ends TLS."""
    host = urlsplit(f"//{text}").hostname or ""
    try:
        is_private = ipaddress.ip_address(host).is_private
    except ValueError:
        is_private = host == "localhost" or "." not in host
    return "http" if is_private else "https"
