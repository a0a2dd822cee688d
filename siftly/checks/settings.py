"""Checks of the settings. No message has a value, because some values are secrets."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register

from airtable_sync.mapping.load import load_mapping
from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.mapping.schema import MappingError
from webhooks.platforms import PLATFORM_CLASSES

# Settings that only make sense with that platform.
PLATFORM_SETTINGS = {
    "VAPI_ASSISTANT_ID": "vapi",
    "TWILIO_CONNECT_URL": "twilio",
    "PLIVO_CONNECT_URL": "plivo",
    "SIGNALWIRE_SWML_URL": "signalwire",
}
SECRETS = {platform.name: platform.secrets_setting for platform in PLATFORM_CLASSES}


@register()
def malformed(**_: Any) -> list[CheckMessage]:
    return [
        checks.Error(
            f"{name}: {sentence}",
            hint="docs/reference/settings.md lists the settings.",
            id="siftly.E001",
        )
        for name, sentence in settings.ENVIRONMENT_PROBLEMS.items()
    ]


@register()
def missing(**_: Any) -> list[CheckMessage]:
    consequences = {
        "AIRTABLE_API_KEY": ("Airtable can't be read.", "https://airtable.com/create/tokens"),
        "AIRTABLE_BASE_ID": ("Airtable can't be read.", "app… in the base's address."),
        "REDIS_URL": (
            "The database's newest snapshot is the shared copy, read again every 30 s.",
            "render.yaml makes a Key Value store; any Redis from version 6.2 on works.",
        ),
    }
    return [
        checks.Warning(f"{name} is not set. {consequence}", hint=hint, id="siftly.W001")
        for name, (consequence, hint) in consequences.items()
        if not getattr(settings, name) and name not in settings.ENVIRONMENT_PROBLEMS
    ]


@register()
def no_platform(**_: Any) -> list[CheckMessage]:
    names = [platform.secrets_setting for platform in PLATFORM_CLASSES]
    if settings.IS_CRON_JOB or any(getattr(settings, name) for name in names):
        return []
    sentence = f"No platform's secret is set ({', '.join(names)}): every call gets a 404."
    hint = "docs/platforms.md says where each platform shows its secret."
    return [checks.Warning(sentence, hint=hint, id="siftly.W002")]


@register()
def platform_without_its_secret(**_: Any) -> list[CheckMessage]:
    hint = "docs/platforms.md says where the platform shows its secret."
    return [
        checks.Warning(
            f"{name} is set, and {SECRETS[platform]} is not: every call of {platform} gets a 404.",
            hint=hint,
            id="siftly.W015",
        )
        for name, platform in PLATFORM_SETTINGS.items()
        if getattr(settings, name) and not getattr(settings, SECRETS[platform])
    ]


@register()
def openai_without_its_key(**_: Any) -> list[CheckMessage]:
    if not settings.OPENAI_WEBHOOK_SECRET or settings.OPENAI_API_KEY:
        return []
    if "OPENAI_API_KEY" in settings.ENVIRONMENT_PROBLEMS:
        return []
    sentence = "OPENAI_WEBHOOK_SECRET is set, and OPENAI_API_KEY is not: no call can be accepted."
    hint = "Create a key in the project that the SIP trunk points to, with the right to Realtime."
    return [checks.Warning(sentence, hint=hint, id="siftly.W018")]


@register()
def platform_secrets(**_: Any) -> list[CheckMessage]:
    hint = "Copy it again from the platform. Separate several with commas."
    return [
        checks.Error(f"{platform.secrets_setting}: {problem}", hint=hint, id="siftly.E008")
        for platform in PLATFORM_CLASSES
        for secret in getattr(settings, platform.secrets_setting)
        if (problem := platform.secret_problem(secret))
    ]


@register()
def mapping(**_: Any) -> list[CheckMessage]:
    try:
        region = load_mapping(settings.AIRTABLE_MAPPING).region if settings.AIRTABLE_MAPPING else ""
    except MappingError as error:
        hint = "docs/guides/mapping.md describes the file."
        return [checks.Error(f"AIRTABLE_MAPPING: {error}", hint=hint, id="siftly.E003")]
    hint = "As +32460234291, separated by commas."
    return [
        checks.Error(
            f"TO_NUMBERS: {text[:40]!r} is not a telephone number.", hint=hint, id="siftly.E004"
        )
        for text in settings.TO_NUMBERS
        if not (to_e164(text, region) or _is_national(text))
    ]


def _is_national(text: str) -> bool:
    """A number that needs a country, which a mapping that was saved in the admin may have: the
    checks do not ask the database."""
    return not settings.AIRTABLE_MAPPING and text.startswith("0")


@register()
def changes(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    is_notified = settings.AIRTABLE_CHANGES == "push" and not settings.IS_CRON_JOB
    if is_notified and not settings.PUBLIC_URL:
        sentence = (
            "AIRTABLE_CHANGES is push, and PUBLIC_URL is not set: Airtable has no address for its "
            "change notifications."
        )
        hint = "Set it to https://<your service>, or AIRTABLE_CHANGES to poll."
        found.append(checks.Error(sentence, hint=hint, id="siftly.E009"))
    if settings.AIRTABLE_CHANGES != "off" and not settings.REDIS_URL:
        sentence = "AIRTABLE_CHANGES needs REDIS_URL: changes are live after the next refresh only."
        hint = "Set REDIS_URL, or AIRTABLE_CHANGES to off."
        found.append(checks.Warning(sentence, hint=hint, id="siftly.W004"))
    return found


@register()
def upstash(**_: Any) -> list[CheckMessage]:
    """Upstash speaks TLS only, and has only database 0."""
    parts = urlsplit(settings.REDIS_URL or "")
    if not (parts.hostname or "").endswith("upstash.io"):
        return []
    found: list[CheckMessage] = []
    if parts.scheme != "rediss":
        hint = "Copy the address from Upstash's console, with the s in rediss://."
        found.append(
            checks.Error("REDIS_URL: Upstash needs rediss:// (TLS).", hint=hint, id="siftly.E005")
        )
    if parts.path.strip("/") not in ("", "0"):
        hint = "Remove the number at the end of the address."
        found.append(
            checks.Error("REDIS_URL: Upstash has only database 0.", hint=hint, id="siftly.E006")
        )
    return found


@register()
def cache_format(**_: Any) -> list[CheckMessage]:
    """The script that writes entries, and the replica, read them as plain JSON."""
    hint = "siftly/caches.py sets both."
    sentence = "must use the JSONSerializer and no compressor."
    return [
        checks.Error(f"CACHES[{alias!r}] {sentence}", hint=hint, id="siftly.E007")
        for alias, cache in settings.CACHES.items()
        if cache["BACKEND"] == "django_redis.cache.RedisCache"
        and (
            cache["OPTIONS"].get("SERIALIZER") != "django_redis.serializers.json.JSONSerializer"
            or "COMPRESSOR" in cache["OPTIONS"]
        )
    ]
