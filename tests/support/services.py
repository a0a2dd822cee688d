"""The test process's services: built from the current settings, without Airtable's rate limit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from django.apps import apps
from django.conf import settings

from airtable_sync.airtable.limits.rate_limiter import STARTS_PER_WINDOW
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.configuration import Configuration
from airtable_sync.mapping.source import MappingSource
from airtable_sync.services import Services, build_services
from siftly.web_services import WebServices
from tests.support.wide_window import WIDE_WINDOW_SECONDS
from webhooks.platforms import build_platforms
from webhooks.platforms.base import Platform

NO_RATE_LIMIT = 10_000
_BUILT_ONCE = (
    ("airtable_sync", "services"),
    ("airtable_sync", "status_services"),
    ("siftly", "web_services"),
)


def services() -> Services:
    """Built at the first use in each test, and again after each change of a setting."""
    return cast("Services", _app("airtable_sync").services)


def web_services() -> WebServices:
    return cast("WebServices", _app("siftly").web_services)


def platforms() -> dict[str, Platform]:
    return build_platforms(settings)


def use_services(
    rate_limiter_file: Path,
    *,
    has_rate_limit: bool = False,
    tombstone_seconds: float = TOMBSTONE_SECONDS,
) -> None:
    """The process's services are built for tests when they are used next."""

    def new_services(source: MappingSource | None = None) -> Services:
        return build_services(
            Configuration.from_settings(settings),
            source,
            starts_per_window=STARTS_PER_WINDOW if has_rate_limit else NO_RATE_LIMIT,
            window_seconds=WIDE_WINDOW_SECONDS,
            rate_limiter_file=rate_limiter_file,
            tombstone_seconds=tombstone_seconds,
        )

    forget_services()
    _app("airtable_sync").__dict__["new_services"] = new_services


@contextmanager
def services_for_tests(rate_limiter_file: Path, *, has_rate_limit: bool) -> Iterator[None]:
    use_services(rate_limiter_file, has_rate_limit=has_rate_limit)
    yield
    forget_services()
    del _app("airtable_sync").__dict__["new_services"]


def forget_services() -> None:
    for app, name in _BUILT_ONCE:
        _app(app).__dict__.pop(name, None)


def _app(name: str) -> Any:
    return apps.get_app_config(name)
