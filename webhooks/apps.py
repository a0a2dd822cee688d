from typing import Any, cast

from django.apps import AppConfig, apps
from django.conf import settings


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from webhooks.previews import WebhookPreviews  # noqa: PLC0415 - all need the models
        from webhooks.rules import WebhookRules  # noqa: PLC0415
        from webhooks.sending import WebhookCallSender  # noqa: PLC0415

        airtable_sync = cast("Any", apps.get_app_config("airtable_sync"))
        airtable_sync.platform_previews = WebhookPreviews(settings)
        airtable_sync.platform_rules = WebhookRules(settings)
        airtable_sync.call_sender = WebhookCallSender(settings)
