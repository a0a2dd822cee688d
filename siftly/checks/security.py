"""What would let strangers in, or tell them what they must not know. No message holds a value."""

import os
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004

from webhooks.platforms import PLATFORMS

LEAST_KEY, LEAST_TOKEN = 32, 20  # letters …
LEAST_DIFFERENT = 10  # … and how many of them differ: a hexadecimal key has 16 to choose from
MAKE_ONE = "Make a long random one: openssl rand -hex 24"
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
MAKE_STANDARD_ONE = 'Make a long random one: echo "whsec_$(openssl rand -base64 32)"'
_LOCAL = ("localhost", "127.0.0.1", "::1")
_OF_AN_EXAMPLE = re.compile("insecure|change|secret|example|default|password|django", re.I)


@register(Tags.security)
def secret_key(**_: Any) -> list[CheckMessage]:
    key = os.environ.get("SECRET_KEY", "")
    if not key and settings.ON_RENDER:
        hint = "render.yaml generates one."
        return [Error("SECRET_KEY is not set.", hint=hint, id="siftly.E002")]
    if not key:
        hint = "One is made up at each start, which logs everybody out of the admin."
        return [Warning("SECRET_KEY is not set.", hint=hint, id="siftly.W003")]
    if not _can_be_guessed(key, LEAST_KEY) and not _OF_AN_EXAMPLE.search(key):
        return []
    sentence = "SECRET_KEY is short, or out of an example: who guesses it can log in as anybody."
    if settings.HTTPS_ONLY:
        return [Error(sentence, hint=MAKE_ONE, id="siftly.E010")]
    return [Warning(sentence, hint=MAKE_ONE, id="siftly.W005")]


@register(Tags.security)
def debug(**_: Any) -> list[CheckMessage]:
    if not (settings.DEBUG and settings.ON_RENDER):
        return []
    sentence = "DEBUG is on: error pages show strangers the code and the settings."
    return [Error(sentence, hint="Leave DEBUG out on Render.", id="siftly.E011")]


@register(Tags.security)
def hosts(**_: Any) -> list[CheckMessage]:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    sentence = "ALLOWED_HOSTS is *: the admin believes any Host header."
    hint = "Leave it out: PUBLIC_URL's host and Render's own are allowed then. Or name all of them."
    return [Warning(sentence, hint=hint, id="siftly.W006")]


def _is_in_the_clear(address: str | None) -> bool:
    parts = urlsplit(address or "")
    return parts.scheme == "http" and parts.hostname not in _LOCAL


@register(Tags.security)
def public_url(**_: Any) -> list[CheckMessage]:
    if not _is_in_the_clear(settings.PUBLIC_URL):
        return []
    sentence = "PUBLIC_URL is not https://: passwords and customers' data travel in the clear."
    hint = "Put a proxy in front that ends TLS and sends X-Forwarded-Proto."
    return [Warning(sentence, hint=hint, id="siftly.W007")]


@register(Tags.security, deploy=True)
def public_url_of_a_deployment(**_: Any) -> list[CheckMessage]:
    if settings.PUBLIC_URL:
        return []
    sentence = "PUBLIC_URL is not set: the admin's cookies also travel in the clear."
    hint = "Set it to https://<your service>; on Render it is known."
    return [Warning(sentence, hint=hint, id="siftly.W008")]


@register(Tags.security)
def database(**_: Any) -> list[CheckMessage]:
    on_disk = "sqlite" in settings.DATABASES["default"]["ENGINE"]
    if not (on_disk and settings.ON_RENDER):
        return []
    sentence = "DATABASE_URL is SQLite: Render's disk is emptied by each deploy, and not shared."
    hint = "render.yaml makes a PostgreSQL; use its connection string."
    return [Warning(sentence, hint=hint, id="siftly.W009")]


@register(Tags.security)
def metrics_token(**_: Any) -> list[CheckMessage]:
    token = settings.METRICS_TOKEN
    if not token or not _can_be_guessed(token, LEAST_TOKEN):
        return []
    sentence = "METRICS_TOKEN is short enough to be guessed."
    return [Warning(sentence, hint=MAKE_ONE, id="siftly.W010")]


@register(Tags.security)
def chosen_secrets(**_: Any) -> list[CheckMessage]:
    """Those that people make up, and that are sent along with a call; the others are the
    platforms' own."""
    names = [platform.secrets_setting for platform in PLATFORMS.values()]
    return [
        Warning(f"{name} is short enough to be guessed.", hint=_made_for(name), id="siftly.W011")
        for name in names
        if name.endswith("_WEBHOOK_SECRET")
        and any(_can_be_guessed(secret, LEAST_TOKEN) for secret in getattr(settings, name))
    ]


def _made_for(name: str) -> str:
    return MAKE_STANDARD_ONE if name == "STANDARD_WEBHOOK_SECRET" else MAKE_ONE


@register(Tags.security)
def redis_certificate(**_: Any) -> list[CheckMessage]:
    asked = parse_qs(urlsplit(settings.REDIS_URL or "").query).get("ssl_cert_reqs", ["required"])
    if asked[-1] == "required":
        return []
    sentence = "REDIS_URL: ssl_cert_reqs lets anybody on the way pose as your Redis."
    hint = "For an authority of your own: ?ssl_ca_certs=<file>."
    return [Warning(sentence, hint=hint, id="siftly.W012")]


@register(Tags.security)
def airtable_address(**_: Any) -> list[CheckMessage]:
    if not _is_in_the_clear(settings.AIRTABLE_API_URL):
        return []
    sentence = "AIRTABLE_API_URL is not https://: the token travels in the clear."
    hint = "Leave it out, for Airtable's own."
    return [Warning(sentence, hint=hint, id="siftly.W013")]


@register(Tags.security)
def alert_address(**_: Any) -> list[CheckMessage]:
    if not _is_in_the_clear(settings.ALERT_WEBHOOK_URL):
        return []
    sentence = "ALERT_WEBHOOK_URL is not https://: who listens on the way can write there, too."
    hint = "Copy it anew, with the s in https://."
    return [Warning(sentence, hint=hint, id="siftly.W016")]


@register()
def airtable_token(**_: Any) -> list[CheckMessage]:
    """https://support.airtable.com/docs/airtable-api-key-deprecation-notice"""
    if not re.fullmatch("key[A-Za-z0-9]{14}", settings.AIRTABLE_API_KEY or ""):
        return []
    sentence = "AIRTABLE_API_KEY is one of the old keys, which Airtable no longer accepts."
    hint = "Create a personal access token: https://airtable.com/create/tokens"
    return [Error(sentence, hint=hint, id="siftly.E012")]


def _can_be_guessed(secret: str, least: int) -> bool:
    return len(secret) < least or len(set(secret)) < LEAST_DIFFERENT
