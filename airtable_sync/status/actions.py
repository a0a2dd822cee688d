"""What an operator does: each needs its own permission, is a POST, and is written to the admin's
log. What takes something away is asked about first."""

import time
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache import overrides
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.publish_target import publish_target
from airtable_sync.cache.redis_store import CALLS, CacheUnavailable
from airtable_sync.cache.replica import of_this_process
from airtable_sync.lookup.airtable_lookup import is_served
from airtable_sync.lookup.single_flight import asked_for
from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import current
from airtable_sync.models import Override, Run, Snapshot
from airtable_sync.refresh import background_process, rollback
from airtable_sync.status import number_details
from airtable_sync.status.display.units import ago, short
from airtable_sync.status.override_form import OverrideForm
from airtable_sync.status.permissions import action, allowed, log, needs

CONFIRM = "admin/cache/confirm.html"
HOLDS = (
    "It holds: refreshes and edits in Airtable change nothing until you press “Release” on the "
    "status page."
)
LATER = " Other processes follow within half a minute, or when Redis is back."


@require_POST
@needs(action("refresh"))
def refresh(request: HttpRequest) -> HttpResponse:
    if running := _running():
        messages.warning(request, _busy(running))
    else:
        background_process.start("--full", user=request.user.get_username())
        log(request, "Started a refresh.", "Refresh", Run)
        messages.success(request, "A refresh was started. It goes on if you leave this page.")
    return redirect("cache:status")


@require_http_methods(["GET", "POST"])
@needs(action("roll_back"))
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    snapshot = get_object_or_404(Snapshot.objects.defer("content"), run=pk)
    if request.method == "GET":
        context = {
            "title": f"Roll back to the set of run {pk}?",
            "paragraphs": [_offer(snapshot), HOLDS],
            "button": "Roll back",
            "back": reverse("cache:run", args=[pk]),
        }
        return render(request, CONFIRM, {**admin.site.each_context(request), **context})
    if running := _running():
        messages.warning(request, _busy(running))
    else:
        background_process.start("--rollback", str(pk), user=request.user.get_username())
        log(request, f"Rolled back to the set of run {pk}.", str(snapshot.run), Run, pk)
        messages.success(request, f"Going back to the set of run {pk}.")
    return redirect("cache:status")


@require_POST
@needs(action("roll_back"))
def release(request: HttpRequest) -> HttpResponse:
    """The hold ends at once; what Airtable has now follows."""
    try:
        was_held = rollback.release(publish_target())
    except CacheUnavailable as error:
        messages.error(request, f"It could not be released: {error}")
        return redirect("cache:status")
    if was_held:
        log(request, "Released the rollback.", "Rollback", Run)
        background_process.start("--full", user=request.user.get_username())
        messages.success(request, "Released. A refresh brings what Airtable has now.")
    return redirect("cache:status")


@require_POST
@needs(action("reread"))
def reread(request: HttpRequest) -> HttpResponse:
    number = _number(request)
    if not number:
        return redirect("cache:number")
    started = time.monotonic()
    before, _ = number_details.read(number)
    try:
        entry = _read_again(number)
    except (AirtableError, CacheUnavailable) as error:
        messages.error(request, f"It could not be read again: {error}")
    else:
        took = short(time.monotonic() - started)
        messages.success(request, f"Read from Airtable in {took}: {_news(before, entry)}.")
        log(request, "Read again from Airtable.", number, Run)
    return _back_to(number)


@require_http_methods(["GET", "POST"])
@needs(action("drop"))
def drop(request: HttpRequest) -> HttpResponse:
    number = _number(request)
    if not number:
        return redirect("cache:number")
    if not number_details.explain(number, may_see=False).can_drop:
        messages.error(request, f"{number} can't be dropped: it is pinned, or not in Redis.")
        return _back_to(number)
    if request.method == "GET":
        context = {
            "title": f"Drop {number} from the cache?",
            "paragraphs": ["The next call of it waits for Airtable, or gets the defaults."],
            "button": "Drop it",
            "hidden": {"q": number},
            "back": f"{reverse('cache:number')}?{urlencode({'q': number})}",
        }
        return render(request, CONFIRM, {**admin.site.each_context(request), **context})
    try:
        overrides.drop(number)
    except CacheUnavailable as error:
        messages.error(request, f"It could not be dropped: {error}")
    else:
        log(request, "Dropped from the cache.", number, Run)
        messages.success(request, f"{number} was dropped. The next call of it asks Airtable.")
    return _back_to(number)


@require_POST
@needs(action("pin"))
def pin(request: HttpRequest) -> HttpResponse:
    number = _number(request)
    if not number or not is_served(number):
        messages.error(request, "That number is not served.")
        return redirect("cache:number")
    may_see = allowed(request)["see_secrets"]
    shown = number_details.explain(number, may_see=may_see)
    form = OverrideForm(shown.variables, may_see=may_see, data=request.POST)
    if not form.is_valid():
        context = {**admin.site.each_context(request), "title": "One number", "form": form}
        context |= {"may": allowed(request), "q": number, "asked": number, "shown": shown}
        return render(request, "admin/cache/number.html", context, status=422)
    before = shown.entry or Entry(number, None, 0, "lookup")
    made, everywhere = overrides.pin(
        before, form.variables(), form.why(), request.user.get_username()
    )
    log(request, f"Pinned: {made.reason}", str(made), Override, made.pk)
    when = "" if everywhere else LATER
    messages.success(request, f"{number} is pinned until {made.ends_at:%Y-%m-%d %H:%M} UTC.{when}")
    return _back_to(number)


@require_POST
@needs(action("pin"))
def end_override(request: HttpRequest) -> HttpResponse:
    number = _number(request)
    if not number:
        return redirect("cache:number")
    try:
        overrides.end(number)
    except CacheUnavailable as error:
        messages.error(request, f"The pin could not be ended: {error}")
        return _back_to(number)
    log(request, "Ended the pin.", number, Override)
    try:
        messages.success(request, f"The pin was ended: {_news(None, _read_again(number))}.")
    except (AirtableError, CacheUnavailable) as error:
        messages.warning(
            request, f"The pin was ended; until Airtable answers, callers hear it: {error}"
        )
    return _back_to(number)


def _read_again(number: str) -> Entry:
    """Raises AirtableError and CacheUnavailable."""
    [entry] = asked_for([number])
    if settings.REDIS_URL:
        CALLS.write([entry], announce_unchanged=True)
    else:
        of_this_process().keep(entry, saved=True)
    return entry


def _news(before: Entry | None, entry: Entry) -> str:
    if not entry.known:
        return "Airtable does not have it"
    if before is None or not before.known:
        return f"{len(entry.config or {})} variables"
    if before.by == "pin":
        return "the pin stays in force"
    return "nothing changed" if before.digest() == entry.digest() else "it has changed"


def _running() -> Run | None:
    """Who can't be asked does not keep anybody from starting: the command itself knows."""
    try:
        return background_process.who_runs()
    except (CacheUnavailable, DatabaseError):
        return None


def _offer(snapshot: Snapshot) -> str:
    return (
        f"Callers will be told what run {snapshot.run_id} published: {snapshot.numbers:,} numbers, "
        f"as of {snapshot.run.started_at:%Y-%m-%d %H:%M} UTC."
    )


def _busy(run: Run) -> str:
    who = run.user or {"cron": "the cron job", "feed": "the change feed"}.get(run.by, "a command")
    return f"A refresh is running already: {who} started it {ago(run.started_at)}."


def _number(request: HttpRequest) -> str | None:
    text = request.POST.get("q") or request.GET.get("q") or ""
    number = e164(text, current().region)
    if not number:
        messages.error(request, f"“{text[:40]}” is no telephone number.")
    return number


def _back_to(number: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse('cache:number')}?{urlencode({'q': number})}")
