"""All settings of Siftly. Each variable is described in the README's table."""

import os
import secrets
from typing import Any

from environs import validate

from siftly.caches import redis_caches
from siftly.env import BASE_DIR, comma_separated, env, problems

TEN_YEARS = 10 * 365 * 86400
POSITIVE = validate.Range(min=1)
SECONDS = validate.Range(min=1, max=TEN_YEARS)

DEBUG = env.bool("DEBUG", False)
# Without a key a process makes one up, which ends all logins at a restart; `checks` warns of it.
SECRET_KEY = env.str("SECRET_KEY", None) or secrets.token_urlsafe(48)
PUBLIC_URL = env.address("PUBLIC_URL", None, schemes=("https", "http"))
ALLOWED_HOSTS = comma_separated("ALLOWED_HOSTS") or [
    "localhost",
    "127.0.0.1",
    "[::1]",
    *comma_separated("RENDER_EXTERNAL_HOSTNAME"),
]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "siftly",
    "webhooks",
    "airtable_sync",
    "sandbox",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "siftly.urls"
ASGI_APPLICATION = "siftly.asgi.application"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

DATABASES: dict[str, Any] = {
    "default": env.database("DATABASE_URL", None)
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False

STATIC_URL = "static/"
# WhiteNoise serves the admin's files from where Django finds them: no build step can be forgotten.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# --- Redis ------------------------------------------------------------------------------------

REDIS_URL = env.redis("REDIS_URL", None)
CACHES: dict[str, Any] = (
    redis_caches(REDIS_URL)
    if REDIS_URL
    else {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
)
CACHE_TTL_SECONDS = env.int("CACHE_TTL_SECONDS", 10800, validate=SECONDS)
CACHE_STALE_SECONDS = env.int(
    "CACHE_STALE_SECONDS", 86400, validate=validate.Range(min=0, max=TEN_YEARS)
)
# What a process's copy of all entries may take; above it, it holds those that were called for.
REPLICA_MAX_BYTES = env.int("REPLICA_MAX_BYTES", 256 * 1024 * 1024, validate=POSITIVE)
CACHE_NEGATIVE_SECONDS = env.int("CACHE_NEGATIVE_SECONDS", 60, validate=SECONDS)

# --- Airtable ---------------------------------------------------------------------------------

AIRTABLE_API_KEY = env.token("AIRTABLE_API_KEY", None)
AIRTABLE_BASE_ID = env.str(
    "AIRTABLE_BASE_ID",
    None,
    validate=validate.Regexp(r"[A-Za-z0-9_-]+$", error="Not a base id, app…."),
)
AIRTABLE_API_URL = env.address(
    "AIRTABLE_API_URL", "https://api.airtable.com", schemes=("https", "http")
)
AIRTABLE_MAPPING = env.str(
    "AIRTABLE_MAPPING", str(BASE_DIR / "airtable_sync" / "mappings" / "siftly.toml")
)
TO_NUMBERS = comma_separated("TO_NUMBERS")
AIRTABLE_PLAN = env.str(
    "AIRTABLE_PLAN", None, validate=validate.OneOf(["free", "team", "business"])
)
AIRTABLE_CHANGES = env.str(
    "AIRTABLE_CHANGES", "off", validate=validate.OneOf(["off", "poll", "push"])
)
AIRTABLE_POLL_SECONDS = env.float(
    "AIRTABLE_POLL_SECONDS", None, validate=validate.Range(min=0, min_inclusive=False)
)
SHARE = validate.Range(min=0, max=1)
# What a refresh refuses to publish: a set that lost more than this, one with more conflicts.
REFRESH_MIN_SHARE = env.float("REFRESH_MIN_SHARE", 0.6, validate=SHARE)
REFRESH_MAX_CONFLICT_SHARE = env.float("REFRESH_MAX_CONFLICT_SHARE", 0.1, validate=SHARE)

# --- Calls ------------------------------------------------------------------------------------

LOOKUP_DEADLINE_SECONDS = env.float(
    "LOOKUP_DEADLINE_SECONDS", None, validate=validate.Range(min=0, min_inclusive=False)
)
DEFAULT_VARIABLES: dict[str, str] = env.variables("DEFAULT_VARIABLES", "{}") or {}
RETELL_API_KEY = comma_separated("RETELL_API_KEY")
ELEVENLABS_WEBHOOK_SECRET = comma_separated("ELEVENLABS_WEBHOOK_SECRET")
VAPI_WEBHOOK_SECRET = comma_separated("VAPI_WEBHOOK_SECRET")
VAPI_ASSISTANT_ID = env.str("VAPI_ASSISTANT_ID", None)
TWILIO_AUTH_TOKEN = comma_separated("TWILIO_AUTH_TOKEN")
TWILIO_CONNECT_URL = env.address("TWILIO_CONNECT_URL", None, schemes=("wss",))
TELNYX_PUBLIC_KEY = comma_separated("TELNYX_PUBLIC_KEY")
TELNYX_SIGNING_KEY = comma_separated("TELNYX_SIGNING_KEY")  # a stand-in's, for `place_call`
SYNTHFLOW_WEBHOOK_SECRET = comma_separated("SYNTHFLOW_WEBHOOK_SECRET")
STANDARD_WEBHOOK_SECRET = comma_separated("STANDARD_WEBHOOK_SECRET")

# --- Who looks after it -----------------------------------------------------------------------

METRICS_TOKEN = env.token("METRICS_TOKEN", None)
SENTRY_DSN = env.dsn("SENTRY_DSN", None)
ALERT_EMAIL = comma_separated("ALERT_EMAIL")
ALERT_WEBHOOK_URL = env.address("ALERT_WEBHOOK_URL", None, schemes=("https", "http"))
_email = env.email("EMAIL_URL", None) or {}
EMAIL_BACKEND = _email.get("EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
EMAIL_HOST = _email.get("EMAIL_HOST", "localhost")
EMAIL_PORT = _email.get("EMAIL_PORT", 25)
EMAIL_HOST_USER = _email.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _email.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = _email.get("EMAIL_TIMEOUT") or 10
DEFAULT_FROM_EMAIL = _email.get("DEFAULT_FROM_EMAIL") or next(iter(ALERT_EMAIL), "siftly@localhost")

# --- Logs: one line an event, on standard error, so that a command's output stays clean ----------

LOG_FORMAT = env.str("LOG_FORMAT", "text", validate=validate.OneOf(["text", "json"]))
LOG_LEVEL = env.str(
    "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "siftly.logs.TextFormatter"},
        "json": {"()": "siftly.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {"class": "siftly.logs.BackgroundHandler", "formatter": LOG_FORMAT or "text"}
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL or "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
    },
}

# Read by gunicorn itself; here only so that `check` finds what is wrong with them.
env.int("PORT", 8000, validate=validate.Range(min=1, max=65535))
env.int("WEB_CONCURRENCY", 1, validate=POSITIVE)

ENVIRONMENT_PROBLEMS = problems()
ON_RENDER = "RENDER" in os.environ
VERSION = os.environ.get("RENDER_GIT_COMMIT", "")[:7]
