"""The whole text of an alert: what happened, what to do next, and where."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.urls import reverse

from airtable_sync.monitoring.alerts.incidents import IncidentChange
from airtable_sync.monitoring.alerts.messages import RESOLVED
from airtable_sync.monitoring.guidance import help_path, step_for_alert, topic_of_alert
from airtable_sync.monitoring.health_rules import HealthFacts

_NOT_PUBLIC = ("localhost", "127.0.0.1", "[::1]", "*")


def alert_text(change: IncidentChange, facts: HealthFacts, origin: str) -> str:
    """The first line alone says what happened: it is an e-mail's subject."""
    if not change.message:
        return f"Resolved: {RESOLVED[change.kind]}.\n{status_line(origin)}"
    lines = [
        change.message,
        f"Next: {step_for_alert(change.kind, facts)}",
        status_line(origin),
        f"Help: {origin}{help_path(topic_of_alert(change.kind, facts))}",
    ]
    return "\n".join(lines)


def status_line(origin: str) -> str:
    return f"Status page: {origin}{reverse('cache:status')}"


def service_origin(public_url: str | None, allowed_hosts: Sequence[str], port: str) -> str:
    """`https://siftly.example.com`: from PUBLIC_URL, else from ALLOWED_HOSTS, else this machine's,
    which is right for `make run`."""
    parts = urlsplit(public_url or "")
    if parts.netloc:
        return f"{parts.scheme}://{parts.netloc}"
    hosts = (host for host in allowed_hosts if host not in _NOT_PUBLIC)
    host = next(hosts, "").lstrip(".")
    return f"https://{host}" if host else f"http://127.0.0.1:{port}"
