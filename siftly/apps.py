from django.apps import AppConfig


class SiftlyConfig(AppConfig):
    name = "siftly"

    def ready(self) -> None:
        from siftly import (  # noqa: PLC0415 - registers them
            alert_checks,  # noqa: F401
            checks,  # noqa: F401
            security_checks,  # noqa: F401
            sentry,
        )

        sentry.start()
