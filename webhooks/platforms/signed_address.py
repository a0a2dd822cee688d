"""For platforms whose signature covers the address: which one they may have signed."""

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from siftly.server.http import Request


def possible_addresses(request: Request, public_url: str) -> Iterator[str]:
    """The address that the platform called, with and without its port, which some of them leave
    out. The final slash is optional at Siftly, and a proxy may have added or removed it.

    `public_url` is PUBLIC_URL, "" if it is not set."""
    address = _public_address(request, public_url)
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        yield address
        return
    host = parts.netloc.removesuffix(f":{parts.port}")
    bare = parts.path.rstrip("/")
    other = bare if parts.path.endswith("/") else f"{bare}/"
    for path in (parts.path, other):
        for netloc in (host, f"{host}:{port}"):
            yield urlunsplit(parts._replace(netloc=netloc, path=path))


def _public_address(request: Request, public_url: str) -> str:
    """Not the one that a proxy in front of us forwarded to."""
    # Render's own host name is only one of those that the service may have.
    base = public_url or f"{request.scheme}://{request.headers.get('Host', '')}"
    query = request.query
    return f"{base.rstrip('/')}{request.path}{'?' if query else ''}{query}"
