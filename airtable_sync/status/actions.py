"""The buttons: refresh, roll back, release, read again, drop. Each is a POST with its own
permission, and is recorded in the admin's log. Roll back and drop ask for a confirmation."""

import time
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.entry import Entry
from airtable_sync.models import Run, Snapshot
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh import background_process
from airtable_sync.services import services
from airtable_sync.status.display.units import ago, short_duration
from airtable_sync.status.number import (
    number_details,
    number_url,
    redirect_to_number,
    requested_number,
)
from airtable_sync.status.permissions import log_action, page_context, requires_permission
from airtable_sync.status.status_services import status_services

PAUSES = (
    "Publishing is paused then: refreshes and edits in Airtable change nothing until you press "
    "“Release” on the status page."
)
TRIGGERS = {Run.Trigger.CRON: "the cron job", Run.Trigger.CHANGE_FEED: "the change feed"}


@require_POST
@requires_permission("refresh")
def refresh(request: HttpRequest) -> HttpResponse:
    if not _warn_if_running(request):
        _start(request, "--full")
        log_action(request, "Started a refresh.", "Refresh", Run)
        messages.success(request, "A refresh was started. It continues if you leave this page.")
    return redirect("cache:status")


@require_http_methods(["GET", "POST"])
@requires_permission("roll_back")
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    snapshot = get_object_or_404(services().snapshots.all(), run=pk)
    if request.method == "GET":
        question = f"Roll back to the snapshot of run {pk}?"
        effects = [_effect_of_rollback(snapshot), PAUSES]
        back = reverse("cache:run", args=[pk])
        return _confirmation(request, question, effects, button="Roll back", back=back)
    if not _warn_if_running(request):
        _start(request, "--rollback", str(pk))
        message = f"Started a rollback to the snapshot of run {pk}."
        log_action(request, message, str(snapshot.run), Run, pk)
        messages.success(request, f"The rollback to the snapshot of run {pk} was started.")
    return redirect("cache:status")


@require_POST
@requires_permission("roll_back")
def release(request: HttpRequest) -> HttpResponse:
    """Publishing continues, and a refresh is started."""
    try:
        was_paused = services().rollback.release()
    except CacheUnavailable as error:
        messages.error(request, f"The rollback could not be released: {error}")
        return redirect("cache:status")
    if was_paused:
        log_action(request, "Released the rollback.", "Rollback", Run)
        _start(request, "--full")
        messages.success(request, "Released. A refresh was started.")
    return redirect("cache:status")


@require_POST
@requires_permission("reread")
def reread(request: HttpRequest) -> HttpResponse:
    number = requested_number(request)
    if not number:
        return redirect("cache:number")
    started, reader = time.monotonic(), status_services().number_reader
    before, _ = reader.cached_entry(number)
    try:
        entry = reader.read_again(number)
    except (AirtableError, CacheUnavailable) as error:
        messages.error(request, f"It could not be read again: {error}")
    else:
        duration = short_duration(time.monotonic() - started)
        result = _comparison(before, entry)
        messages.success(request, f"Read from Airtable in {duration}: {result}.")
        log_action(request, "Read again from Airtable.", number, Run)
    return redirect_to_number(number)


@require_http_methods(["GET", "POST"])
@requires_permission("drop")
def drop(request: HttpRequest) -> HttpResponse:
    number = requested_number(request)
    if not number:
        return redirect("cache:number")
    if not number_details(request, number).can_drop:
        reason = "it has an override, or is not in Redis"
        messages.error(request, f"{number} can't be dropped: {reason}.")
        return redirect_to_number(number)
    if request.method == "GET":
        question = f"Drop {number} from the cache?"
        effects = ["Its next call waits for Airtable, or gets the defaults."]
        back, hidden = number_url(number), {"q": number}
        return _confirmation(request, question, effects, button="Drop it", back=back, hidden=hidden)
    try:
        services().overrides.drop(number)
    except CacheUnavailable as error:
        messages.error(request, f"It could not be dropped: {error}")
    else:
        log_action(request, "Dropped from the cache.", number, Run)
        messages.success(request, f"{number} was dropped. Its next call needs a lookup.")
    return redirect_to_number(number)


def _start(request: HttpRequest, *arguments: str) -> None:
    user = request.user.get_username()
    background_process.start_refresh(*arguments, user=user, folder=settings.BASE_DIR)


def _warn_if_running(request: HttpRequest) -> bool:
    """Whether a refresh or rollback is running. If that can't be read, the refresh lock decides."""
    try:
        running = background_process.running_refresh(services().shared_store)
    except (CacheUnavailable, DatabaseError):
        return False
    if running:
        who = running.user or TRIGGERS.get(Run.Trigger(running.trigger), "a command")
        text = f"A refresh is already running: {who} started it {ago(running.started_at)}."
        messages.warning(request, text)
    return running is not None


def _effect_of_rollback(snapshot: Snapshot) -> str:
    return (
        f"Agents will get what run {snapshot.run_id} published: {snapshot.numbers:,} numbers, "
        f"as of {snapshot.run.started_at:%Y-%m-%d %H:%M} UTC."
    )


def _confirmation(
    request: HttpRequest, question: str, effects: list[str], **context: Any
) -> HttpResponse:
    """`context` has `button`, `back` (an address) and perhaps `hidden` (form fields)."""
    context = {**page_context(request, question), "paragraphs": effects, **context}
    return render(request, "admin/cache/confirm.html", context)


def _comparison(before: Entry | None, entry: Entry) -> str:
    if not entry.is_known:
        return "the number is unknown there"
    if before is None or not before.is_known:
        return f"{len(entry.config or {})} variables"
    if before.origin == "override":
        return "the override stays in force"
    return "nothing changed" if before.digest() == entry.digest() else "it has changed"
