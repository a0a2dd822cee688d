"""A rate limiter with a wider margin, for servers whose requests to Airtable a test counts.

The sandbox counts five requests in a second. On a machine that is busy with other tests, one may
take longer to arrive than the product's margin of 0.08 s."""

from typing import TYPE_CHECKING

from django.conf import settings

from airtable_sync.apps import AirtableSyncConfig
from airtable_sync.configuration import Configuration

if TYPE_CHECKING:
    from airtable_sync.mapping.source import MappingSource
    from airtable_sync.services import Services

WIDE_WINDOW_SECONDS = 1.5
WIDE_WINDOW = {"DJANGO_SETTINGS_MODULE": "tests.wide_window_settings"}


class WideWindowConfig(AirtableSyncConfig):
    def new_services(self, source: "MappingSource | None" = None) -> "Services":
        from airtable_sync.services import build_services

        config = Configuration.from_settings(settings)
        return build_services(config, source, window_seconds=WIDE_WINDOW_SECONDS)
