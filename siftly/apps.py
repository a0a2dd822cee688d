from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.conf import settings

if TYPE_CHECKING:
    from siftly.web_services import WebServices


class SiftlyConfig(AppConfig):
    name = "siftly"

    def ready(self) -> None:
        for name in ("alerts", "security", "settings"):
            import_module(f"siftly.checks.{name}")  # registers the checks
        if settings.SENTRY_DSN:  # importing sentry_sdk takes half a second
            import_module("siftly.sentry").start()

    @cached_property
    def web_services(self) -> "WebServices":
        """Built when they are first used: in each worker, after gunicorn has forked."""
        from airtable_sync.services import services  # noqa: PLC0415 - needs the models
        from siftly.web_services import build_web_services  # noqa: PLC0415 - the same

        return build_web_services(settings, services())

    def replace_web_services(self, web_services: "WebServices") -> None:
        """From now on this process answers with these: another mapping is in force."""
        self.__dict__["web_services"] = web_services
