"""`manage.py test_alert`: does an alert reach anybody?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from airtable_sync.monitoring.alerts.sending import Undelivered, channels, named, within_limits


class Command(BaseCommand):
    help = (
        "Send a trial alert to ALERT_EMAIL and ALERT_WEBHOOK_URL. Exits with 0 if all of them took "
        "it, else with 1."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        if not channels():
            raise CommandError("Neither ALERT_EMAIL nor ALERT_WEBHOOK_URL is set.")
        failed = []
        for name, channel in channels().items():
            try:
                within_limits(channel, named("this is a trial; alerts arrive here."))
                self.stdout.write(f"Sent by {name}.")
            except Undelivered as error:
                failed.append(f"by {name}: {error}")
        if failed:
            raise CommandError(f"It could not be sent {'; '.join(failed)}.")
