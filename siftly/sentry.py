"""Sends errors to Sentry, if SENTRY_DSN is set.

An event contains the kind of error and its place in the code. It contains nothing about customers,
callers or secrets: everything that is not on the lists below is removed.
https://docs.sentry.io/platforms/python/data-management/sensitive-data/"""

import logging
import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import sentry_sdk
from django.conf import settings
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import EventHandler, ignore_logger

SHUTDOWN_SECONDS = 2.0
LOGGERS = ("", "uvicorn.error", "gunicorn.error")  # the servers' loggers may not propagate
MAX_MESSAGE_LENGTH = 300
MIN_SECRET_LENGTH = 4  # a shorter text would be found in ordinary words
CHECK_IN_KEYS = ("type", "monitor_slug", "check_in_id", "status", "duration", "monitor_config")
EVENT_KEYS = (
    "event_id",
    "timestamp",
    "platform",
    "level",
    "logger",
    "release",
    "environment",
    "sdk",
)
FRAME_KEYS = ("filename", "abs_path", "function", "module", "lineno", "context_line", "in_app")
# Only these modules' error messages are sent. Other libraries' messages may quote data.
OWN_MODULES = ("airtable_sync.", "siftly.", "webhooks.", "django.core.management.")
SECRET_SETTINGS = re.compile(r"(KEY|SECRET|TOKEN|DSN|PASSWORD|ALERT_URLS)$")
URLS_WITH_PASSWORDS = ("DATABASE_URL", "REDIS_URL")
_DIGITS = re.compile(r"\+?\d[\d ().-]{4,}\d")


def start() -> None:
    """Call it once in a process, before the process forks."""
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=os.environ.get("RENDER_GIT_COMMIT"),
        before_send=scrub,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        # The default integrations read requests, arguments and log lines during each call.
        default_integrations=False,
        integrations=[
            AtexitIntegration(callback=lambda *_: None),  # prints nothing
            DedupeIntegration(),
            ExcepthookIntegration(),
        ],
        auto_session_tracking=False,
        send_client_reports=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    ignore_logger("django.security.*")  # errors of the request: scanners cause them all day
    for name in LOGGERS:
        logging.getLogger(name).addHandler(EventHandler(level=logging.ERROR))


def scrub(event: Any, _hint: Any = None) -> Any:
    """Return the event with only the data that may be sent."""
    scrubbed = _select(event, (*EVENT_KEYS, *CHECK_IN_KEYS))
    if message := event.get("logentry", {}).get("message"):  # the template, without its arguments
        scrubbed["logentry"] = {"message": _mask(message)}
    if exceptions := event.get("exception", {}).get("values"):
        scrubbed["exception"] = {"values": [_scrub_exception(each) for each in exceptions]}
    return scrubbed


def _scrub_exception(exception: dict[str, Any]) -> dict[str, Any]:
    module = exception.get("module") or ""
    message = str(exception.get("value") or "") if module.startswith(OWN_MODULES) else ""
    frames = (exception.get("stacktrace") or {}).get("frames") or []
    return {
        "type": exception.get("type"),
        "module": module,
        "value": _mask(message),
        "stacktrace": {"frames": [_select(each, FRAME_KEYS) for each in frames]},
    }


def _select(data: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: data[key] for key in keys if key in data}


def _mask(message: str) -> str:
    """Return the first line without secrets and telephone numbers. The other lines of a database
    error quote rows."""
    line = message.partition("\n")[0]
    for secret in sorted(_secrets(), key=len, reverse=True):
        line = line.replace(secret, "[secret]")
    return _DIGITS.sub("[number]", line)[:MAX_MESSAGE_LENGTH]


def _secrets() -> set[str]:
    secrets: set[str] = set()
    for name in dir(settings):
        if name.isupper() and SECRET_SETTINGS.search(name):
            value = getattr(settings, name)
            secrets.update(map(str, value) if isinstance(value, list) else [str(value or "")])
    for name in URLS_WITH_PASSWORDS:
        password = urlsplit(os.environ.get(name, "")).password or ""
        secrets |= {password, unquote(password)}
    return {each for each in secrets if len(each) >= MIN_SECRET_LENGTH}
