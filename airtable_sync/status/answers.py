"""The page of earlier answers: what the agent of a called number got."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware
from django.views.decorators.http import require_GET

from airtable_sync.monitoring.calls.answer_log import AnswerLog, LoggedAnswer
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import services
from airtable_sync.status.display.masking import mask
from airtable_sync.status.permissions import may_see_secrets, page_context, requires_permission

ANSWERS_SHOWN = 50


@require_GET
@requires_permission()
def answers(request: HttpRequest) -> HttpResponse:
    text, before = request.GET.get("q", "").strip(), request.GET.get("before", "")
    found, error = _search(text, before)
    may_see = may_see_secrets(request)
    context = {
        **page_context(request, "Earlier answers"),
        "q": text,
        "before": before,
        "rows": [(each, mask(each.variables or {}, may_see=may_see)) for each in found],
        "error": error,
        "older": found[-1].at if len(found) == ANSWERS_SHOWN else None,
    }
    return render(request, "admin/cache/answers.html", context)


def _search(text: str, before: str) -> tuple[list[LoggedAnswer], str]:
    """The answers, and a message if there can't be any."""
    number = services().active_mapping.number(text) if text else ""
    if number is None:
        return [], f"“{text[:40]}” is not a telephone number."
    log = AnswerLog(services().status_store)
    try:
        return log.search(number, _moment(before), ANSWERS_SHOWN), ""
    except CacheUnavailable as error:
        return [], f"The answer log is in Redis, which does not answer: {error}"


def _moment(text: str) -> datetime | None:
    """The value of a browser's date and time field, in UTC."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return make_aware(moment) if moment and is_naive(moment) else moment
