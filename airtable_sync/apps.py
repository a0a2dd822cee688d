from functools import cached_property, partial
from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate

from airtable_sync.configuration import Configuration
from airtable_sync.mapping.platform_rules import NoPlatformRules, PlatformRulesSource
from airtable_sync.status.first_run.call_sender import CallSender, NoCallSender
from airtable_sync.status.platform_previews import NoPlatformPreviews, PlatformPreviews

if TYPE_CHECKING:
    from airtable_sync.mapping.source import MappingSource
    from airtable_sync.services import Services
    from airtable_sync.status.status_services import StatusServices


class AirtableSyncConfig(AppConfig):
    name = "airtable_sync"
    verbose_name = "Runs, snapshots and overrides"
    platform_previews: PlatformPreviews = NoPlatformPreviews()
    platform_rules: PlatformRulesSource = NoPlatformRules()
    call_sender: CallSender = NoCallSender()

    def ready(self) -> None:
        from airtable_sync.status.groups import (  # noqa: PLC0415 - needs the models
            prepare_permissions,
        )

        post_migrate.connect(prepare_permissions, sender=self)

    @cached_property
    def services(self) -> "Services":
        """Built when they are first used: in each process, after gunicorn has forked."""
        return self.new_services()

    def new_services(self, source: "MappingSource | None" = None) -> "Services":
        """For the mapping that is in force, or for another one."""
        from airtable_sync.refresh.child_process import refresh_in_child_process  # noqa: PLC0415
        from airtable_sync.services import build_services  # noqa: PLC0415 - both need the models

        return build_services(
            Configuration.from_settings(settings),
            source,
            large_refresh=partial(refresh_in_child_process, settings.BASE_DIR),
        )

    def replace_services(self, services: "Services") -> None:
        """From now on this process uses these: another mapping is in force."""
        self.__dict__["services"] = services
        self.__dict__.pop("status_services", None)

    @cached_property
    def status_services(self) -> "StatusServices":
        from airtable_sync.status.status_services import (  # noqa: PLC0415 - needs the models
            build_status_services,
        )

        return build_status_services(self.services, self.platform_previews)
