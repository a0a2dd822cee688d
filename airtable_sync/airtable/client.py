"""Airtable over HTTP, by pyairtable: with time limits, a shared request budget, and errors that
say what to do. https://airtable.com/developers/web/api/introduction"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

import requests
from django.conf import settings
from urllib3.exceptions import HTTPError, ReadTimeoutError

from airtable_sync.airtable import access, formulas, rate_limiter
from airtable_sync.airtable.connections import ClosedMeanwhile, KeptConnections
from airtable_sync.airtable.errors import (
    AirtableError,
    IteratorLost,
    RateLimited,
    Unavailable,
    translate_error,
)

if TYPE_CHECKING:
    from pyairtable import Api

logger = logging.getLogger(__name__)

PAGE_SIZE = 100
IDS_PER_REQUEST = 100
RESTARTS = 3
_NEVER = threading.Event()


class Record(TypedDict):
    id: str
    createdTime: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Schema:
    """The base's tables by name: their fields' names, and their ids; and by a table's id, its
    fields' names by their ids."""

    fields: dict[str, list[str]]
    ids: dict[str, str]
    names: dict[str, dict[str, str]]


class _Page(TypedDict):
    records: list[Record]
    offset: NotRequired[str]


@dataclass(frozen=True)
class RequestLimits:
    """How long one request may take, and what is done when it fails."""

    connect_seconds: float
    read_seconds: float  # for each piece of an answer
    answer_seconds: float  # for all pieces together
    pauses: tuple[float, ...]  # before each further try; none: a failure is final
    rate_limit_pause: float  # what Airtable asks for after RATE_LIMIT_REACHED
    budget_seconds: float  # the longest wait for a place in the request budget
    is_call: bool  # somebody hears ringing: goes before a refresh in the budget


# A caller is waiting: no second try, which would only add to the load, but an answer in time.
CALL_LIMITS = RequestLimits(1.0, 4.0, 5.0, (), 0.0, 6.0, is_call=True)
# Whether Airtable is back is found out by one call, whose caller shall not wait long for a "no".
PROBE_LIMITS = RequestLimits(1.0, 2.0, 2.0, (), 0.0, 2.0, is_call=True)
# An edit shall be live in two seconds; a failed try is followed by another soon.
CHANGE_LIMITS = RequestLimits(3.0, 10.0, 20.0, (1.0,), 30.5, 60.0, is_call=True)
# Nobody waits for it but, where everything has to be read, the change feed: a request that hangs is
# given up as soon as one of the feed's own, and tried again.
REFRESH_LIMITS = RequestLimits(5.0, 10.0, 60.0, (1.0, 2.0, 4.0, 8.0), 30.5, 120.0, is_call=False)


class Airtable:
    """One base. Safe to use from several threads; each has an HTTP session of its own, since
    requests' sessions are not made to be shared.

    Raises AirtableError, of the kind that says what to do about it (`airtable_errors`).
    """

    def __init__(self, limits: RequestLimits) -> None:
        self.limits = limits
        self.requests_made = 0
        self._threads = threading.local()
        self._count = threading.Lock()

    def all(self, table: str, fields: Sequence[str] | None = None) -> Iterator[list[Record]]:
        """A whole table, page by page; from its beginning again when Airtable loses the place, so
        take records by their id."""
        return self._restarting(table, _options(fields))

    def matching(
        self, table: str, formula: str, fields: Sequence[str] | None = None
    ) -> list[Record]:
        pages = self._restarting(table, {**_options(fields), "formula": formula})
        return list({record["id"]: record for page in pages for record in page}.values())

    def by_ids(
        self, table: str, ids: Iterable[str], fields: Sequence[str] | None = None
    ) -> list[Record]:
        """The records of these ids that exist, a hundred a request."""
        wanted = list(dict.fromkeys(ids))
        found: list[Record] = []
        for start in range(0, len(wanted), IDS_PER_REQUEST):
            chunk = wanted[start : start + IDS_PER_REQUEST]
            found.extend(self.matching(table, formulas.any_record(chunk), fields))
        return found

    @contextmanager
    def until(self, ended: threading.Event) -> Iterator[None]:
        """What this thread asks meanwhile is not begun, nor tried again, once that has `ended`."""
        self._threads.ended = ended
        try:
            yield
        finally:
            self._api.session.close()
            del self._threads.ended

    def schema(self) -> Schema:
        """https://airtable.com/developers/web/api/get-base-schema"""
        answer = self.ask("GET", f"meta/bases/{self.base}/tables")
        try:
            return Schema(
                {t["name"]: [field["name"] for field in t["fields"]] for t in answer["tables"]},
                {table["name"]: table["id"] for table in answer["tables"]},
                {t["id"]: {f["id"]: f["name"] for f in t["fields"]} for t in answer["tables"]},
            )
        except (KeyError, TypeError) as error:
            raise Unavailable("Airtable's answer holds no tables.") from error

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Anything else of the Web API, below its version."""
        return self._request(method, str(self._api.build_url(path)), **arguments)

    def require(self) -> None:
        """Raises AirtableError if the settings say of no base."""
        _ = self.base

    @property
    def base(self) -> str:
        if not settings.AIRTABLE_API_KEY:
            raise AirtableError("AIRTABLE_API_KEY is not set.")
        if not settings.AIRTABLE_BASE_ID:
            raise AirtableError("AIRTABLE_BASE_ID is not set.")
        return settings.AIRTABLE_BASE_ID

    @property
    def _api(self) -> "Api":
        if not hasattr(self._threads, "api"):
            from pyairtable import Api  # noqa: PLC0415 - see `formulas`

            limits = (self.limits.connect_seconds, self.limits.read_seconds)
            api = Api(
                settings.AIRTABLE_API_KEY or "",
                timeout=cast("tuple[int, int]", limits),
                retry_strategy=None,
                endpoint_url=settings.AIRTABLE_API_URL,
            )
            # Otherwise a .netrc file on the machine would replace the token.
            api.session.trust_env = False
            api.session.mount(settings.AIRTABLE_API_URL, KeptConnections())
            api.session.hooks["response"].append(_reading_within(self.limits.answer_seconds))
            self._threads.api = api
        return cast("Api", self._threads.api)

    @property
    def _ended(self) -> threading.Event:
        return cast("threading.Event", getattr(self._threads, "ended", _NEVER))

    def _restarting(self, table: str, options: dict[str, Any]) -> Iterator[list[Record]]:
        for restart in range(RESTARTS + 1):
            try:
                yield from self._pages(table, options)
            except IteratorLost:
                if restart == RESTARTS:
                    raise
            else:
                return

    def _pages(self, table: str, options: dict[str, Any]) -> Iterator[list[Record]]:
        urls = self._api.table(self.base, table).urls
        fallback = ("POST", str(urls.records_post))
        options = {"page_size": PAGE_SIZE, **options}
        while True:
            arguments = {"fallback": fallback, "options": options}
            page = self._request("GET", str(urls.records), _page_of, **arguments)
            yield page["records"]
            if not page.get("offset"):
                return
            options = {**options, "offset": page["offset"]}

    def _request(
        self, method: str, url: str, read: Callable[[Any], Any] | None = None, **arguments: Any
    ) -> Any:
        """The answer, as `read` understands it, which raises Unavailable if it can't."""
        pauses = iter(self.limits.pauses)
        while True:
            if self._ended.is_set():
                raise Unavailable("Airtable is not asked any more.")
            try:
                answer = self._request_once(method, url, **arguments)
                return read(answer) if read else answer
            except (RateLimited, Unavailable) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise
                if isinstance(error, RateLimited):
                    pause = max(pause, self.limits.rate_limit_pause)
                logger.warning("%s Airtable is asked again in %.0f s.", error, pause)
            self._ended.wait(pause)

    def _request_once(self, method: str, url: str, **arguments: Any) -> Any:
        try:
            answer = self._send(method, url, **arguments)
        except (requests.RequestException, ValueError, RecursionError) as error:
            reason = translate_error(error)
            rate_limiter.block(reason)
            access.note(reason)
            raise reason from error
        access.note(None)
        return answer

    def _send(self, method: str, url: str, *, again: bool = False, **arguments: Any) -> Any:
        # Before it has a place in the budget: what Airtable counts is when a request arrives.
        connections = cast("KeptConnections", self._api.session.get_adapter(url))
        connections.open(url, self.limits.connect_seconds)
        longest, is_call = self.limits.budget_seconds, self.limits.is_call
        connections.on_sent = rate_limiter.wait_for_place(longest, is_call=is_call).used
        with self._count:
            self.requests_made += 1
        try:
            return self._api.request(method, url, **arguments)
        except ClosedMeanwhile:  # that says nothing about Airtable; reading twice harms nobody
            if again or method == "POST":
                raise
            return self._send(method, url, again=True, **arguments)


def _reading_within(seconds: float) -> Callable[..., None]:
    """A hook that reads an answer's body by a deadline: the limits that requests has are for each
    piece, and a server that sends a byte a second would hold a thread for an hour."""

    def read(response: requests.Response, **_: Any) -> None:
        until, body = time.monotonic() + seconds, bytearray()
        try:
            while piece := response.raw.read1(decode_content=True):
                body += piece
                if time.monotonic() > until:
                    response.close()
                    raise requests.Timeout(response=response)
        except ReadTimeoutError as error:
            raise requests.Timeout(error) from error
        except HTTPError as error:  # urllib3's: a connection that breaks off, or no gzip
            response.close()
            raise requests.exceptions.ChunkedEncodingError(error) from error
        response._content = bytes(body)  # noqa: SLF001 - what `content` keeps after reading

    return read


def _options(fields: Sequence[str] | None) -> dict[str, Any]:
    return {} if fields is None else {"fields": list(fields)}


def _page_of(answer: Any) -> _Page:
    """Check the shape once, here, so that nothing behind has to."""
    records = answer.get("records") if isinstance(answer, dict) else None
    if not isinstance(records, list) or not all(map(_is_record, records)):
        raise Unavailable("Airtable's answer is not a list of records.")
    return cast("_Page", answer)


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("id"), str)
        and isinstance(record.get("createdTime"), str)
        and isinstance(record.get("fields"), dict)
    )
