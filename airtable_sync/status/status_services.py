"""The objects of the status page, built once per process from `Services`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from django.apps import apps

from airtable_sync.services import Services
from airtable_sync.status.closest_known_numbers import ClosestKnownNumbers
from airtable_sync.status.health.collect import StatusCollector
from airtable_sync.status.number_details import NumberReader
from airtable_sync.status.platform_previews import PlatformPreviews


@dataclass(frozen=True)
class StatusServices:
    collector: StatusCollector
    closest_numbers: ClosestKnownNumbers
    number_reader: NumberReader
    platforms: Callable[[], tuple[str, ...]]  # the names of those that have a secret


def status_services() -> StatusServices:
    """The objects of this process. The views get them here."""
    config = apps.get_app_config("airtable_sync")
    return cast("StatusServices", cast("Any", config).status_services)


def build_status_services(services: Services, previews: PlatformPreviews) -> StatusServices:
    # Without the calls' circuit breaker: a page must not open it.
    base_schema = services.call_schema.through(services.status_store)
    return StatusServices(
        collector=StatusCollector(services, previews.platforms),
        closest_numbers=ClosestKnownNumbers(services.replica),
        number_reader=NumberReader(services, base_schema, previews),
        platforms=previews.platforms,
    )
