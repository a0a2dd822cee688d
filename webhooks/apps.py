from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from airtable_sync.status import platform_previews  # noqa: PLC0415 - needs the apps to be loaded
        from webhooks import preview  # noqa: PLC0415

        platform_previews.register(preview.set_up, preview.show)
