"""Errors to Sentry, where SENTRY_DSN is set: what went wrong and where in the code, nothing about
customers, callers or secrets. Only what is named here leaves the house.
https://docs.sentry.io/platforms/python/data-management/sensitive-data/"""

import logging
import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings

SHUTDOWN_SECONDS = 2.0
LOGGERS = ("", "uvicorn.error", "gunicorn.error")  # the servers' do not reach the root
LONGEST_SENTENCE = 300
LEAST_SECRET = 4  # letters; a shorter one would be found everywhere
CHECK_IN = ("type", "monitor_slug", "check_in_id", "status", "duration", "monitor_config")
KEPT = ("event_id", "timestamp", "platform", "level", "logger", "release", "environment", "sdk")
KEPT_OF_A_FRAME = ("filename", "abs_path", "function", "module", "lineno", "context_line", "in_app")
# Their sentences are our own; those of other errors may quote what was being worked on.
OURS = ("airtable_sync.", "siftly.", "webhooks.", "django.core.management.")
SECRET = re.compile(r"(KEY|SECRET|TOKEN|DSN|PASSWORD|ALERT_WEBHOOK_URL)$")
ADDRESSES = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL")
_DIGITS = re.compile(r"\+?\d[\d ().-]{4,}\d")


def start() -> None:
    """To be called once in a process, before it forks at the latest."""
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk  # noqa: PLC0415 - takes half a second, which only its users pay
    from sentry_sdk.integrations.atexit import AtexitIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.dedupe import DedupeIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.logging import EventHandler, ignore_logger  # noqa: PLC0415

    # Not the default integrations: they look at requests, arguments and every line of the log,
    # and would do so on each call.
    quiet = AtexitIntegration(callback=lambda *_: None)
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=os.environ.get("RENDER_GIT_COMMIT"),
        before_send=scrubbed,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        default_integrations=False,
        integrations=[quiet, DedupeIntegration(), ExcepthookIntegration()],
        auto_session_tracking=False,
        send_client_reports=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    ignore_logger("django.security.DisallowedHost")  # scanners, all day long
    for name in LOGGERS:
        logging.getLogger(name).addHandler(EventHandler(level=logging.ERROR))


def scrubbed(event: Any, _hint: Any = None) -> Any:
    """The event without anything that is not named above."""
    kept = {name: event[name] for name in (*KEPT, *CHECK_IN) if name in event}
    if message := event.get("logentry", {}).get("message"):  # without what is filled in
        kept["logentry"] = {"message": _masked(message)}
    if exceptions := event.get("exception", {}).get("values"):
        kept["exception"] = {"values": [_exception(each) for each in exceptions]}
    return kept


def _exception(found: dict[str, Any]) -> dict[str, Any]:
    module = found.get("module") or ""
    sentence = str(found.get("value") or "") if module.startswith(OURS) else ""
    frames = (found.get("stacktrace") or {}).get("frames") or []
    return {
        "type": found.get("type"),
        "module": module,
        "value": _masked(sentence),
        "stacktrace": {"frames": [_only(each, KEPT_OF_A_FRAME) for each in frames]},
    }


def _only(found: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def _masked(sentence: str) -> str:
    """The first line, without secrets and telephone numbers: the database's further ones quote
    rows."""
    line = sentence.partition("\n")[0]
    for secret in sorted(_secrets(), key=len, reverse=True):
        line = line.replace(secret, "[secret]")
    return _DIGITS.sub("[number]", line)[:LONGEST_SENTENCE]


def _secrets() -> set[str]:
    found: set[str] = set()
    for name in dir(settings):
        if name.isupper() and SECRET.search(name):
            value = getattr(settings, name)
            found.update(map(str, value) if isinstance(value, list) else [str(value or "")])
    for name in ADDRESSES:
        password = urlsplit(os.environ.get(name, "")).password or ""
        found |= {password, unquote(password)}
    return {each for each in found if len(each) >= LEAST_SECRET}
