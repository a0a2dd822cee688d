from importlib import import_module

from django.apps import AppConfig


class SiftlyConfig(AppConfig):
    name = "siftly"

    def ready(self) -> None:
        from siftly import sentry  # noqa: PLC0415

        for name in ("alerts", "security", "settings"):
            import_module(f"siftly.checks.{name}")  # registers them
        sentry.start()
