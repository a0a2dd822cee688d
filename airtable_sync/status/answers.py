"""The answer log: what the agents of called numbers got, as a page and as CSV."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware
from django.views.decorators.http import require_GET

from airtable_sync.monitoring.calls.answer_log import AnswerFilter, AnswerLog, LoggedAnswer
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import services
from airtable_sync.status.answers_csv import csv_pages
from airtable_sync.status.display.charts import SOURCES
from airtable_sync.status.display.masking import mask
from airtable_sync.status.permissions import may_see_secrets, page_context, requires_permission
from airtable_sync.status.status_services import status_services

ANSWERS_SHOWN = 50
FIELDS = ("q", "source", "platform", "since", "before")


@dataclass(frozen=True)
class Search:
    """`texts` are as the user gave them. `error` says why nothing can be found."""

    texts: dict[str, str]
    wanted: AnswerFilter
    error: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Search":
        texts = {name: request.GET.get(name, "").strip() for name in FIELDS}
        number = services().active_mapping.number(texts["q"]) if texts["q"] else ""
        error = f"“{texts['q'][:40]}” is not a telephone number." if number is None else ""
        since, before = _moment(texts["since"]), _moment(texts["before"])
        return cls(
            texts,
            AnswerFilter(number or "", texts["source"], texts["platform"], since, before),
            error,
        )

    def query(self, **changed: str) -> str:
        """For an address of the same search."""
        return urlencode({name: text for name, text in {**self.texts, **changed}.items() if text})


@require_GET
@requires_permission()
def answers(request: HttpRequest) -> HttpResponse:
    search = Search.of(request)
    found, error = _find(search)
    may_see = may_see_secrets(request)
    context = {
        **page_context(request, "Answer log"),
        **search.texts,
        "sources": SOURCES,
        "platforms": status_services().platforms(),
        "rows": [(each, mask(each.variables or {}, may_see=may_see)) for each in found],
        "error": error,
        "query": search.query(),
        "older": _query_of_older(search, found) if len(found) == ANSWERS_SHOWN else "",
    }
    return render(request, "admin/cache/answers.html", context)


@require_GET
@requires_permission()
def answers_csv(request: HttpRequest) -> HttpResponseBase:
    """All answers of the search, streamed: reading them takes a while."""
    search, log = Search.of(request), AnswerLog(services().status_store)
    if search.error:
        return HttpResponse(search.error, status=400, content_type="text/plain; charset=utf-8")
    pages = csv_pages(log.pages(search.wanted), may_see=may_see_secrets(request))
    try:
        first = next(pages)  # if Redis is down, the user gets a sentence and no empty file
    except CacheUnavailable as error:
        text = f"The answer log is in Redis, which does not answer: {error}"
        return HttpResponse(text, status=503, content_type="text/plain; charset=utf-8")

    @sync_to_async
    def read_page() -> str | None:
        return next(pages, None)

    async def stream() -> AsyncIterator[str]:
        yield first
        try:
            while page := await read_page():
                yield page
        except CacheUnavailable as error:
            yield f"This file is incomplete: Redis does not answer ({error})\r\n"

    name = f"answers-{datetime.now(UTC):%Y-%m-%d-%H%M}.csv"
    return StreamingHttpResponse(
        stream(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _find(search: Search) -> tuple[list[LoggedAnswer], str]:
    """The answers, and a message if there can't be any."""
    if search.error:
        return [], search.error
    log = AnswerLog(services().status_store)
    try:
        return log.search(search.wanted, ANSWERS_SHOWN), ""
    except CacheUnavailable as error:
        return [], f"The answer log is in Redis, which does not answer: {error}"


def _query_of_older(search: Search, found: list[LoggedAnswer]) -> str:
    return search.query(before=f"{found[-1].at:%Y-%m-%dT%H:%M:%S}")


def _moment(text: str) -> datetime | None:
    """The value of a browser's date and time field, in UTC."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return make_aware(moment) if moment and is_naive(moment) else moment
