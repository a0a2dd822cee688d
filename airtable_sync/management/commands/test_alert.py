"""`manage.py test_alert`: sends a test message to each address of ALERT_URLS."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from airtable_sync.monitoring.alerts.sending import AlertSender, service_name
from airtable_sync.monitoring.alerts.text import service_origin, status_line


class Command(BaseCommand):
    help = "Send a test alert to each address of ALERT_URLS. Exits with 0 if all were sent, else 1."

    def handle(self, *_: Any, **__: Any) -> None:
        if not settings.ALERT_URLS:
            raise CommandError("ALERT_URLS is not set.")
        name = service_name(settings.PUBLIC_URL, settings.ALLOWED_HOSTS)
        sender = AlertSender(settings.ALERT_URLS, name)
        origin = service_origin(
            settings.PUBLIC_URL, settings.ALLOWED_HOSTS, os.environ.get("PORT", "8000")
        )
        deliveries = sender.send_now(f"This is a test alert.\n{status_line(origin)}")
        for each in deliveries:
            outcome = f"failed: {each.failure}" if each.failure else "sent"
            self.stdout.write(f"{each.recipient.position}. {each.recipient.name}: {outcome}")
        if failed := sum(bool(each.failure) for each in deliveries):
            raise CommandError(f"{failed} of {len(deliveries)} failed.")
