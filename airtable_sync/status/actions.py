"""Starting a refresh, publishing a rejected one anyway, rolling back, releasing a rollback. Each
needs its own permission, and is recorded in the admin's log."""

from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from airtable_sync.cache.snapshot_comparison import compare_with_replica
from airtable_sync.models import Run, Snapshot
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh import background_process
from airtable_sync.refresh.report import difference_between
from airtable_sync.refresh.rollback import pausing_run
from airtable_sync.services import services
from airtable_sync.status.confirmation import confirmation
from airtable_sync.status.differences import DIFFERENCES_SHOWN, shown_differences
from airtable_sync.status.display.units import ago
from airtable_sync.status.permissions import log_action, may_see_secrets, requires_permission
from airtable_sync.status.runs import may_publish_anyway
from airtable_sync.status.started_action import StartedAction
from airtable_sync.status.status_services import status_services

PAUSES = (
    "Publishing is paused then: refreshes and edits in Airtable change nothing until you press "
    "“Release” on the status page."
)
READS_AGAIN = (
    "Airtable is read again. It is published if the same rule rejects it with the same figures, "
    "and the same numbers would be removed. Otherwise it is rejected again, for another review."
)


@require_POST
@requires_permission("refresh")
def refresh(request: HttpRequest) -> HttpResponse:
    return _start(request, ["--full"], "Started a refresh.", "Refresh")


@require_http_methods(["GET", "POST"])
@requires_permission("refresh", "roll_back")
def publish_anyway(request: HttpRequest, pk: int) -> HttpResponse:
    """Who may publish a rejected set has to be able to undo it: so both permissions."""
    run = get_object_or_404(Run, pk=pk)
    if not may_publish_anyway(run):
        messages.error(request, f"Run {pk} can't be published: a later run has ended since.")
        return redirect("cache:run", pk)
    if request.method == "POST":
        message = f"Published anyway what run {pk} would have changed."
        return _start(request, ["--full", "--reviewed", str(pk)], message, str(run), pk)
    return confirmation(
        request,
        "Publish anyway?",
        [f"Validation rejected it: {run.message}", READS_AGAIN],
        figures=[(each["name"], each["value"]) for each in run.details.get("rule", ())],
        counts=_counts(run.added, run.changed, run.removed),
        button="Publish anyway",
        back=reverse("cache:run", args=[pk]),
    )


@require_http_methods(["GET", "POST"])
@requires_permission("roll_back")
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    snapshot = get_object_or_404(services().snapshots.all(), run=pk)
    if request.method == "POST":
        message = f"Started a rollback to the snapshot of run {pk}."
        return _start(request, ["--rollback", str(pk)], message, str(snapshot.run), pk)
    return confirmation(
        request,
        f"Roll back to the snapshot of run {pk}?",
        [_effect_of_rollback(snapshot), PAUSES],
        **_differences(request, snapshot),
        button="Roll back",
        back=reverse("cache:run", args=[pk]),
    )


@require_http_methods(["GET", "POST"])
@requires_permission("roll_back")
def release(request: HttpRequest) -> HttpResponse:
    """Publishing continues, and a refresh is started."""
    rollback = services().rollback
    try:
        is_paused = rollback.release() if request.method == "POST" else rollback.is_paused()
    except CacheUnavailable as error:
        messages.error(request, f"The rollback could not be released: {error}")
        return redirect("cache:status")
    if not is_paused:
        messages.info(request, "Publishing is not paused: there is no rollback to release.")
        return redirect("cache:status")
    if request.method == "GET":
        return _confirm_release(request)
    return _start(request, ["--full"], "Released the rollback.", "Rollback")


def _confirm_release(request: HttpRequest) -> HttpResponse:
    run = pausing_run()
    since = f" of {run.started_at:%Y-%m-%d %H:%M} UTC" if run else ""
    effects = [
        f"This ends the rollback{since}. Airtable is read, and agents get what it has now.",
        "If Airtable still has the mistake that you rolled back, agents get it again.",
    ]
    back = reverse("cache:status")
    return confirmation(request, "Release the rollback?", effects, button="Release", back=back)


def _start(
    request: HttpRequest, arguments: list[str], message: str, about: str, key: int | None = None
) -> HttpResponse:
    """The status page shows the progress and the result."""
    if _warn_if_running(request):
        return redirect("cache:status")
    started = StartedAction.now()
    user = request.user.get_username()
    background_process.start_refresh(*arguments, user=user, folder=settings.BASE_DIR)
    log_action(request, message, about, Run, key)
    return redirect(f"{reverse('cache:status')}?{urlencode({'started': str(started)})}")


def _warn_if_running(request: HttpRequest) -> bool:
    """Whether a refresh or rollback is running. If that can't be read, the refresh lock decides."""
    try:
        running = background_process.running_refresh(services().shared_store)
    except (CacheUnavailable, DatabaseError):
        return False
    if running:
        since = ago(running.started_at)
        text = f"A refresh is already running: {running.started_by} started it {since}."
        messages.warning(request, text)
    return running is not None


def _effect_of_rollback(snapshot: Snapshot) -> str:
    return (
        f"Agents will get what run {snapshot.run_id} published: {snapshot.numbers:,} numbers, "
        f"as of {snapshot.run.started_at:%Y-%m-%d %H:%M} UTC."
    )


def _differences(request: HttpRequest, snapshot: Snapshot) -> dict[str, object]:
    """What the rollback would change of what is served now."""
    found = compare_with_replica(snapshot, services().replica, DIFFERENCES_SHOWN)
    if found is None:
        return {"differences_unknown": True}
    differences = [
        difference_between(each.number, each.kind, each.before, each.after).to_json()
        for each in found.changes
    ]
    links, may_see = status_services().number_reader.record_links(), may_see_secrets(request)
    return {
        "counts": _counts(**found.counts),
        **shown_differences(differences, sum(found.counts.values()), links, may_see=may_see),
    }


def _counts(added: int, changed: int, removed: int) -> Mapping[str, int]:
    return {"removed": removed, "changed": changed, "added": added}
