"""The objects of a web process that are above `airtable_sync`, built once from the settings."""

import os
from dataclasses import dataclass
from typing import Any, cast

from django.apps import apps

from airtable_sync.changes.notifications import NotificationReceiver
from airtable_sync.monitoring.alerts.incidents import Incidents
from airtable_sync.monitoring.alerts.observer import HealthObserver, ObserverParts
from airtable_sync.monitoring.alerts.periodic_check import PeriodicCheck
from airtable_sync.monitoring.alerts.sending import AlertSender, service_name
from airtable_sync.monitoring.alerts.text import service_origin
from airtable_sync.services import Services
from siftly.health import HealthProbes
from siftly.lifecycle import Lifecycle
from siftly.metrics import MetricsEndpoint
from webhooks.call_handler import CallHandler
from webhooks.follow_ups import FollowUps
from webhooks.platforms import build_platforms


@dataclass(frozen=True)
class WebServices:
    services: Services
    call_handler: CallHandler
    notification_receiver: NotificationReceiver
    lifecycle: Lifecycle
    probes: HealthProbes
    metrics: MetricsEndpoint


def web_services() -> WebServices:
    """The web services of this process."""
    return cast("WebServices", cast("Any", apps.get_app_config("siftly")).web_services)


def build_web_services(
    settings: Any, used: Services, before: CallHandler | None = None
) -> WebServices:
    """`before` answered calls until now, with another mapping: what it knows of events that a
    platform may send again stays."""
    lifecycle = Lifecycle(used, _periodic_check(used, settings))
    return WebServices(
        services=used,
        call_handler=CallHandler(
            before.platforms if before else build_platforms(settings),
            used.answerer,
            used.active_mapping,
            used.recorder,
            before.follow_ups if before else FollowUps(used.shared_store, used.counters),
            settings.LOOKUP_DEADLINE_SECONDS,
        ),
        notification_receiver=NotificationReceiver(
            used.configuration.airtable_base_id,
            used.feed_state,
            used.feed_follower,
            enabled=used.configuration.airtable_changes == "push",
        ),
        lifecycle=lifecycle,
        probes=HealthProbes(used, lifecycle.is_ready),
        metrics=MetricsEndpoint(used.prometheus, settings.METRICS_TOKEN or ""),
    )


def health_observer(used: Services) -> HealthObserver:
    return HealthObserver(
        ObserverParts(
            configuration=used.configuration,
            store=used.background_store,
            access=used.access,
            rate_limiter=used.rate_limiter,
            polling=used.polling,
            is_redis_reachable=lambda: used.replica.in_sync and used.flusher.last_request_arrived,
        )
    )


def _periodic_check(used: Services, settings: Any) -> PeriodicCheck | None:
    if not settings.ALERT_URLS:
        return None
    name = service_name(settings.PUBLIC_URL, settings.ALLOWED_HOSTS)
    sender = AlertSender(settings.ALERT_URLS, name)
    facts = health_observer(used).facts
    return PeriodicCheck(facts, Incidents(used.background_store), sender, origin(settings))


def origin(settings: Any) -> str:
    """Where people reach this service, for alerts."""
    port = os.environ.get("PORT", "8000")
    return service_origin(settings.PUBLIC_URL, settings.ALLOWED_HOSTS, port)
