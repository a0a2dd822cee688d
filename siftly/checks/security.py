"""Checks for security. No message has a value, because some values are secrets."""

import os
import re
import shlex
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import ordinal
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from webhooks.platforms import PLATFORM_CLASSES

MIN_KEY_LENGTH, MIN_TOKEN_LENGTH = 32, 20
MIN_DIFFERENT_CHARACTERS = 10  # a hexadecimal key has 16 different ones at most
GENERATE_HINT = "Generate a long random one: openssl rand -hex 24"
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
GENERATE_STANDARD_HINT = 'Generate a long random one: echo "whsec_$(openssl rand -base64 32)"'
_HTTP_WEBHOOK = re.compile("(json|xml|form)://", re.I)  # Apprise's names for http://
_LOCAL = ("localhost", "127.0.0.1", "::1")
_EXAMPLE_WORDS = re.compile("insecure|change|secret|example|default|password|django", re.I)


@register(Tags.security)
def secret_key(**_: Any) -> list[CheckMessage]:
    key = os.environ.get("SECRET_KEY", "")
    if not key and settings.ON_RENDER:
        hint = "render.yaml generates one."
        return [checks.Error("SECRET_KEY is not set.", hint=hint, id="siftly.E002")]
    if not key:
        hint = "Each start uses a random one, which ends all logins."
        return [checks.Warning("SECRET_KEY is not set.", hint=hint, id="siftly.W003")]
    if not _can_be_guessed(key, MIN_KEY_LENGTH) and not _EXAMPLE_WORDS.search(key):
        return []
    sentence = (
        "SECRET_KEY is short or from an example: with a guessed key anyone can log in as any user."
    )
    if settings.HTTPS_ONLY:
        return [checks.Error(sentence, hint=GENERATE_HINT, id="siftly.E010")]
    return [checks.Warning(sentence, hint=GENERATE_HINT, id="siftly.W005")]


@register(Tags.security)
def debug(**_: Any) -> list[CheckMessage]:
    if not (settings.DEBUG and settings.ON_RENDER):
        return []
    sentence = "DEBUG is on: error pages show strangers the code and the settings."
    return [checks.Error(sentence, hint="Remove DEBUG on Render.", id="siftly.E011")]


@register(Tags.security)
def hosts(**_: Any) -> list[CheckMessage]:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    sentence = "ALLOWED_HOSTS is *: the admin accepts any Host header."
    hint = "Remove it, to allow PUBLIC_URL's host and Render's own. Or list all hosts."
    return [checks.Warning(sentence, hint=hint, id="siftly.W006")]


def _is_unencrypted(address: str | None) -> bool:
    try:
        parts = urlsplit(address or "")
    except ValueError:
        return False  # another check reports a malformed address
    return parts.scheme == "http" and parts.hostname not in _LOCAL


@register(Tags.security)
def public_url(**_: Any) -> list[CheckMessage]:
    if not _is_unencrypted(settings.PUBLIC_URL):
        return []
    sentence = "PUBLIC_URL is not https://: passwords and customers' data are sent unencrypted."
    hint = "Put a proxy in front that ends TLS and sends X-Forwarded-Proto."
    return [checks.Warning(sentence, hint=hint, id="siftly.W007")]


@register(Tags.security, deploy=True)
def public_url_of_a_deployment(**_: Any) -> list[CheckMessage]:
    if settings.PUBLIC_URL:
        return []
    sentence = "PUBLIC_URL is not set: the admin's cookies are also sent unencrypted."
    hint = "Set it to https://<your service>. On Render it is set already."
    return [checks.Warning(sentence, hint=hint, id="siftly.W008")]


@register(Tags.security)
def database(**_: Any) -> list[CheckMessage]:
    on_disk = "sqlite" in settings.DATABASES["default"]["ENGINE"]
    if not (on_disk and settings.ON_RENDER):
        return []
    sentence = (
        "DATABASE_URL is SQLite: each deploy deletes Render's disk, and services don't share it."
    )
    hint = "render.yaml makes a PostgreSQL; use its connection string."
    return [checks.Warning(sentence, hint=hint, id="siftly.W009")]


@register(Tags.security)
def database_file(**_: Any) -> list[CheckMessage]:
    database = settings.DATABASES["default"]
    file = Path(str(database["NAME"]))
    if "sqlite" not in database["ENGINE"] or not file.is_file():
        return []
    if not file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    sentence = "Other users of this machine can read the database's file."
    hint = f"Take it from them: chmod 600 {shlex.quote(str(file))}*"
    return [checks.Warning(sentence, hint=hint, id="siftly.W017")]


@register(Tags.security)
def metrics_token(**_: Any) -> list[CheckMessage]:
    token = settings.METRICS_TOKEN
    if not token or not _can_be_guessed(token, MIN_TOKEN_LENGTH):
        return []
    sentence = "METRICS_TOKEN is short enough to be guessed."
    return [checks.Warning(sentence, hint=GENERATE_HINT, id="siftly.W010")]


@register(Tags.security)
def chosen_secrets(**_: Any) -> list[CheckMessage]:
    """Secrets that people choose and that are sent with each call. Platforms generate the
    others."""
    names = [platform.secrets_setting for platform in PLATFORM_CLASSES]
    return [
        checks.Warning(
            f"{name} is short enough to be guessed.", hint=_hint_for(name), id="siftly.W011"
        )
        for name in names
        if name.endswith("_WEBHOOK_SECRET")
        and any(_can_be_guessed(secret, MIN_TOKEN_LENGTH) for secret in getattr(settings, name))
    ]


def _hint_for(name: str) -> str:
    return GENERATE_STANDARD_HINT if name == "STANDARD_WEBHOOK_SECRET" else GENERATE_HINT


@register(Tags.security)
def redis_certificate(**_: Any) -> list[CheckMessage]:
    asked = parse_qs(urlsplit(settings.REDIS_URL or "").query).get("ssl_cert_reqs", ["required"])
    if asked[-1] == "required":
        return []
    sentence = "REDIS_URL: ssl_cert_reqs turns off the verification of Redis' certificate."
    hint = "For your own certificate authority, use ?ssl_ca_certs=<file>."
    return [checks.Warning(sentence, hint=hint, id="siftly.W012")]


@register(Tags.security)
def airtable_address(**_: Any) -> list[CheckMessage]:
    if not _is_unencrypted(settings.AIRTABLE_API_URL):
        return []
    sentence = "AIRTABLE_API_URL is not https://: the token is sent unencrypted."
    hint = "Remove it, to use Airtable's own address."
    return [checks.Warning(sentence, hint=hint, id="siftly.W013")]


@register(Tags.security)
def openai_address(**_: Any) -> list[CheckMessage]:
    if not _is_unencrypted(settings.OPENAI_API_URL):
        return []
    sentence = "OPENAI_API_URL is not https://: the API key is sent unencrypted."
    hint = "Remove it, to use OpenAI's own address."
    return [checks.Warning(sentence, hint=hint, id="siftly.W019")]


@register(Tags.security)
def alert_address(**_: Any) -> list[CheckMessage]:
    hint = "Use jsons://, xmls:// or forms://."
    return [
        checks.Warning(
            f"ALERT_URLS: the {ordinal(position)} address uses http://, so others can read the "
            "alerts and the address's password.",
            hint=hint,
            id="siftly.W016",
        )
        for position, url in enumerate(settings.ALERT_URLS, start=1)
        if (webhook := _HTTP_WEBHOOK.match(url))
        and _is_unencrypted(f"http://{url[webhook.end() :]}")
    ]


@register()
def airtable_token(**_: Any) -> list[CheckMessage]:
    """https://support.airtable.com/docs/airtable-api-key-deprecation-notice"""
    if not re.fullmatch("key[A-Za-z0-9]{14}", settings.AIRTABLE_API_KEY or ""):
        return []
    sentence = "AIRTABLE_API_KEY is one of the old keys, which Airtable no longer accepts."
    hint = "Create a personal access token: https://airtable.com/create/tokens"
    return [checks.Error(sentence, hint=hint, id="siftly.E012")]


def _can_be_guessed(secret: str, min_length: int) -> bool:
    return len(secret) < min_length or len(set(secret)) < MIN_DIFFERENT_CHARACTERS
