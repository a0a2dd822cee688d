"""All settings of Siftly. `setting_descriptions.py` describes each environment variable."""

import os
import secrets
from datetime import timedelta
from typing import Any

from csp.constants import NONE, SELF
from environs import validate

from siftly.caches import redis_caches
from siftly.databases import sqlite
from siftly.environment import (
    BASE_DIR,
    comma_separated,
    env,
    mapping_path,
    origin_of,
    own_hosts,
    problems,
)

YEAR = 365 * 86400
TEN_YEARS = 10 * YEAR
POSITIVE = validate.Range(min=1)
SECONDS = validate.Range(min=1, max=TEN_YEARS)

DEBUG = env.bool("DEBUG", False)
# Without SECRET_KEY each process uses a random one, and a restart ends all logins. A check warns.
SECRET_KEY = env.str("SECRET_KEY", None) or secrets.token_urlsafe(48)
GIVEN_PUBLIC_URL = env.address("PUBLIC_URL", None, schemes=("https", "http"))
PUBLIC_URL = GIVEN_PUBLIC_URL or env.address("RENDER_EXTERNAL_URL", None, schemes=("https",))
ALLOWED_HOSTS = comma_separated("ALLOWED_HOSTS") or own_hosts(
    PUBLIC_URL, *comma_separated("RENDER_EXTERNAL_HOSTNAME")
)

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
    "axes",
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
    "csp.middleware.CSPMiddleware",
    "siftly.login_limit.LoginLimit",
    "axes.middleware.AxesMiddleware",
    "siftly.error_pages.ErrorPages",
]
# No inline scripts or styles, and nothing from other hosts. The admin needs none of it.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
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

# --- Browser security. Calls do not use Django's middleware. --------------------------------------

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Depends on the public address: `make run` serves http://127.0.0.1.
HTTPS_ONLY = not DEBUG and (PUBLIC_URL or "").startswith("https://")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
# API clients get an error for a wrong address, not a redirect.
SECURE_REDIRECT_EXEMPT = [r"^webhooks/", r"^airtable/", r"^(healthz|readyz|metrics)"]
SECURE_HSTS_SECONDS = YEAR if HTTPS_ONLY else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 86400
SESSION_ENGINE = "siftly.sessions"
CSRF_TRUSTED_ORIGINS = [origin] if (origin := origin_of(PUBLIC_URL)) else []
SILENCED_SYSTEM_CHECKS = [
    # We can't decide about subdomains of the operator's domain.
    "security.W005",  # HSTS for subdomains
    "security.W021",  # HSTS preload
    "security.W009",  # our own check accepts Render's generated keys of 44 characters
    "axes.W006",  # see AXES_LOCKOUT_PARAMETERS
]

DEFAULT_EXCEPTION_REPORTER_FILTER = "siftly.error_reports.SecretFilter"

CSRF_FAILURE_VIEW = "siftly.error_pages.csrf_failure"

# --- E-mail, for password resets ----------------------------------------------------------------

EMAIL_URL: dict[str, Any] | None = env.email("EMAIL_URL", None)
EMAIL_TIMEOUT = 10
_email = EMAIL_URL or {}
EMAIL_HOST, EMAIL_PORT = _email.get("host", "localhost"), _email.get("port", 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _email.get("user", ""), _email.get("password", "")
EMAIL_USE_SSL, EMAIL_USE_TLS = _email.get("ssl", False), _email.get("starttls", False)
DEFAULT_FROM_EMAIL = _email.get("sender", "webmaster@localhost")

LOGIN_REDIRECT_URL = "cache:status"  # if the page that was asked for is not one of ours

# --- Logins: after ten wrong passwords a user name is locked for a quarter of an hour -------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# In the database, which a login needs anyway: an outage of Redis does not prevent logins. By user
# name, because the client's address may be a proxy's, or forged.
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_FAILURE_LIMIT = 10
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # raw tables
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_COOLOFF_MESSAGE = (
    "Too many wrong passwords for this name. Try again in a quarter of an hour, or run: "
    "manage.py axes_reset_username NAME"
)

DATABASES: dict[str, Any] = {
    "default": env.database("DATABASE_URL", None) or sqlite(BASE_DIR / "db.sqlite3")
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False

STATIC_URL = "static/"
# WhiteNoise serves the admin's files without `collectstatic`: one build step less to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# --- Redis ------------------------------------------------------------------------------------

REDIS_URL = env.redis("REDIS_URL", None)
CACHES: dict[str, Any] = (
    redis_caches(REDIS_URL)
    if REDIS_URL
    else {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
)
# Keeps two deployments of the same base apart in one Redis.
CACHE_NAMESPACE: str = env.str(
    "CACHE_NAMESPACE",
    "",
    validate=validate.Regexp(
        r"[A-Za-z0-9._-]{0,50}$", error="Must be at most 50 letters, digits, dots, - and _."
    ),
)
CACHE_TTL_SECONDS = env.int("CACHE_TTL_SECONDS", 10800, validate=SECONDS)
CACHE_STALE_SECONDS = env.int(
    "CACHE_STALE_SECONDS", 86400, validate=validate.Range(min=0, max=TEN_YEARS)
)
# The limit of a process's replica. Above it, the replica keeps only numbers that were called.
REPLICA_MAX_BYTES = env.int("REPLICA_MAX_BYTES", 256 * 1024 * 1024, validate=POSITIVE)
CACHE_NEGATIVE_SECONDS = env.int("CACHE_NEGATIVE_SECONDS", 60, validate=SECONDS)

# --- Airtable ---------------------------------------------------------------------------------

AIRTABLE_API_KEY = env.token("AIRTABLE_API_KEY", None)
AIRTABLE_BASE_ID = env.base_id("AIRTABLE_BASE_ID", None)
AIRTABLE_API_URL = env.api_address("AIRTABLE_API_URL", "https://api.airtable.com", version="v0")
# Empty: the version that was saved in the admin, else the shipped mapping "siftly".
AIRTABLE_MAPPING = mapping_path(env.str("AIRTABLE_MAPPING", ""))
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
# Validation rejects a refresh with a smaller share of the numbers before, or more conflicts.
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
PLIVO_AUTH_TOKEN = comma_separated("PLIVO_AUTH_TOKEN")
PLIVO_CONNECT_URL = env.address("PLIVO_CONNECT_URL", None, schemes=("wss",))
SIGNALWIRE_SIGNING_KEY = comma_separated("SIGNALWIRE_SIGNING_KEY")
SIGNALWIRE_SWML_URL = env.address("SIGNALWIRE_SWML_URL", None, schemes=("https",))
TELNYX_PUBLIC_KEY = comma_separated("TELNYX_PUBLIC_KEY")
TELNYX_SIGNING_KEY = comma_separated(
    "TELNYX_SIGNING_KEY"
)  # the private key of a test key pair, for `place_call`
SYNTHFLOW_WEBHOOK_SECRET = comma_separated("SYNTHFLOW_WEBHOOK_SECRET")
STANDARD_WEBHOOK_SECRET = comma_separated("STANDARD_WEBHOOK_SECRET")
OPENAI_WEBHOOK_SECRET = comma_separated("OPENAI_WEBHOOK_SECRET")
OPENAI_API_KEY = env.token("OPENAI_API_KEY", None)
OPENAI_API_URL = env.api_address("OPENAI_API_URL", "https://api.openai.com", version="v1")
FISHAUDIO_WEBHOOK_SECRET = comma_separated("FISHAUDIO_WEBHOOK_SECRET")
GENERIC_WEBHOOK_SECRET = comma_separated("GENERIC_WEBHOOK_SECRET")

# --- Monitoring -------------------------------------------------------------------------------

METRICS_TOKEN = env.token("METRICS_TOKEN", None)
SENTRY_DSN = env.dsn("SENTRY_DSN", None)
# Apprise addresses: https://appriseit.com/services/
ALERT_URLS: list[str] = env.alert_urls("ALERT_URLS", "")

# --- Logs: one line per event, on standard error ------------------------------------------------

LOG_FORMAT = env.str("LOG_FORMAT", "text", validate=validate.OneOf(["text", "json"]))
LOG_LEVEL = env.str(
    "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
)
# Anyone who sends a request can cause their warnings. `siftly/server/log_limit.py` limits them.
LIMITED_LOGGERS = [
    "airtable_sync.changes.notifications",
    "asyncio",
    "axes",
    "django.request",
    "django.security",
    "siftly.error_pages",
    "siftly.server.connection",
    "uvicorn.error",
    "webhooks.call_handler.rejections",
]
LIBRARIES_LOG_LEVEL = "INFO" if LOG_LEVEL in (None, "DEBUG") else LOG_LEVEL
OWN_LOG_LEVEL = "DEBUG" if LOG_LEVEL == "DEBUG" else "NOTSET"  # NOTSET: as the libraries
LOGGING_CONFIG = "siftly.server.log_setup.configure_logging"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "siftly.server.log_format.TextFormatter"},
        "json": {"()": "siftly.server.log_format.JsonFormatter"},
    },
    "filters": {
        "limit": {"()": "siftly.server.log_limit.LogLimit", "loggers": LIMITED_LOGGERS},
        "expected errors": {"()": "siftly.error_log.ExpectedErrors"},
    },
    "handlers": {
        "stderr": {
            "class": "siftly.server.log_handler.BackgroundHandler",
            "filters": ["limit"],
            "formatter": LOG_FORMAT or "text",
        },
        "nowhere": {"class": "logging.NullHandler"},
    },
    # Libraries' debug lines have addresses, headers and bodies, and so secrets: urllib3 logs the
    # path of an alert's webhook, oauthlib a token, gunicorn its whole configuration. So DEBUG is
    # only for our own loggers.
    "root": {"handlers": ["stderr"], "level": LIBRARIES_LOG_LEVEL},
    "loggers": {
        "airtable_sync": {"level": OWN_LOG_LEVEL},
        "siftly": {"level": OWN_LOG_LEVEL},
        "webhooks": {"level": OWN_LOG_LEVEL},
        # Without this, Django's own configuration has its handlers and levels here.
        "django": {"handlers": [], "level": LIBRARIES_LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": "NOTSET", "propagate": True},
        "django.request": {"filters": ["expected errors"]},
        # Its messages may have parts of addresses. AlertSender logs each failure instead.
        "apprise": {"handlers": ["nowhere"], "level": "WARNING", "propagate": False},
        # Logs whole addresses at INFO, too.
        "httpx": {"level": "ERROR" if LOG_LEVEL == "ERROR" else "WARNING"},
    },
}

# gunicorn reads these itself. They are parsed here so that `check` reports wrong values.
env.int("PORT", 8000, validate=validate.Range(min=1, max=65535))
env.int("WEB_CONCURRENCY", 1, validate=POSITIVE)

ENVIRONMENT_PROBLEMS = problems()
ON_RENDER = "RENDER" in os.environ
IS_CRON_JOB = os.environ.get("RENDER_SERVICE_TYPE") == "cron"  # not reachable from outside
VERSION = os.environ.get("RENDER_GIT_COMMIT", "")[:7]
