"""What is wrong with the settings, all at once: in `manage.py check`, and when the server starts
(`server_log`). No message holds a value, for some values are secrets."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import MappingError, current
from webhooks.platforms import PLATFORMS

# Who sets these means to use that platform.
OWN_TO_A_PLATFORM = {"VAPI_ASSISTANT_ID": "vapi", "TWILIO_CONNECT_URL": "twilio"}


@register()
def malformed(**_: Any) -> list[CheckMessage]:
    return [
        Error(f"{name}: {sentence}", hint="The README's table has the settings.", id="siftly.E001")
        for name, sentence in settings.ENVIRONMENT_PROBLEMS.items()
    ]


@register()
def missing(**_: Any) -> list[CheckMessage]:
    consequences = {
        "AIRTABLE_API_KEY": ("Airtable can't be asked.", "https://airtable.com/create/tokens"),
        "AIRTABLE_BASE_ID": ("Airtable can't be asked.", "app… in the base's address."),
        "REDIS_URL": (
            "The database's last good set is the shared copy, re-read every 30 s.",
            "render.yaml makes a Key Value store; any Redis from 6.2 on will do.",
        ),
    }
    return [
        Warning(f"{name} is not set. {consequence}", hint=hint, id="siftly.W001")
        for name, (consequence, hint) in consequences.items()
        if not getattr(settings, name) and name not in settings.ENVIRONMENT_PROBLEMS
    ]


@register()
def no_platform(**_: Any) -> list[CheckMessage]:
    names = [platform.secrets_setting for platform in PLATFORMS.values()]
    if any(getattr(settings, name) for name in names):
        return []
    sentence = f"No platform's secret is set ({', '.join(names)}): every call gets a 404."
    hint = "docs/platforms.md says where each platform shows its secret."
    return [Warning(sentence, hint=hint, id="siftly.W002")]


@register()
def platform_without_its_secret(**_: Any) -> list[CheckMessage]:
    hint = "docs/platforms.md says where the platform shows its secret."
    return [
        Warning(
            f"{name} is set, and {PLATFORMS[platform].secrets_setting} is not: "
            f"every call of {platform} gets a 404.",
            hint=hint,
            id="siftly.W015",
        )
        for name, platform in OWN_TO_A_PLATFORM.items()
        if getattr(settings, name) and not PLATFORMS[platform].secrets()
    ]


@register()
def platform_secrets(**_: Any) -> list[CheckMessage]:
    hint = "Copy it anew from the platform; several are separated by commas."
    return [
        Error(f"{platform.secrets_setting}: {problem}", hint=hint, id="siftly.E008")
        for platform in PLATFORMS.values()
        for secret in getattr(settings, platform.secrets_setting)
        if (problem := platform.problem_with(secret))
    ]


@register()
def mapping(**_: Any) -> list[CheckMessage]:
    try:
        region = current().region
    except MappingError as error:
        hint = "docs/mapping.md describes the file."
        return [Error(f"AIRTABLE_MAPPING: {error}", hint=hint, id="siftly.E003")]
    hint = "As +32460234291, separated by commas."
    return [
        Error(f"TO_NUMBERS: {text[:40]!r} is no telephone number.", hint=hint, id="siftly.E004")
        for text in settings.TO_NUMBERS
        if not e164(text, region)
    ]


@register()
def changes(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    pinged = settings.AIRTABLE_CHANGES == "push" and not settings.IS_CRON_JOB
    if pinged and not settings.PUBLIC_URL:
        sentence = "AIRTABLE_CHANGES is push, and PUBLIC_URL is not set: Airtable can't ping."
        hint = "Set it to https://<your service>, or AIRTABLE_CHANGES to poll."
        found.append(Error(sentence, hint=hint, id="siftly.E009"))
    if settings.AIRTABLE_CHANGES != "off" and not settings.REDIS_URL:
        sentence = "AIRTABLE_CHANGES needs REDIS_URL: changes are live after the next refresh only."
        hint = "Set REDIS_URL, or AIRTABLE_CHANGES to off."
        found.append(Warning(sentence, hint=hint, id="siftly.W004"))
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
            Error("REDIS_URL: Upstash needs rediss:// (TLS).", hint=hint, id="siftly.E005")
        )
    if parts.path.strip("/") not in ("", "0"):
        hint = "Leave the number at the address's end out."
        found.append(Error("REDIS_URL: Upstash has only database 0.", hint=hint, id="siftly.E006"))
    return found


@register()
def cache_format(**_: Any) -> list[CheckMessage]:
    """The script that writes entries, and the replica, read them as plain JSON."""
    hint = "siftly/caches.py sets both."
    sentence = "must use the JSONSerializer and no compressor."
    return [
        Error(f"CACHES[{alias!r}] {sentence}", hint=hint, id="siftly.E007")
        for alias, cache in settings.CACHES.items()
        if cache["BACKEND"] == "django_redis.cache.RedisCache"
        and (
            cache["OPTIONS"].get("SERIALIZER") != "django_redis.serializers.json.JSONSerializer"
            or "COMPRESSOR" in cache["OPTIONS"]
        )
    ]
