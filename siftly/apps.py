from django.apps import AppConfig


class SiftlyConfig(AppConfig):
    name = "siftly"

    def ready(self) -> None:
        from siftly import checks, security_checks, sentry  # noqa: F401, PLC0415 - registers them

        sentry.start()
