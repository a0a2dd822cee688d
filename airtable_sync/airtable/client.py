"""The HTTP client for Airtable, on pyairtable: with time limits, the shared rate limiter, and one
error class per decision. https://airtable.com/developers/web/api/introduction"""

import copy
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import requests

from airtable_sync.airtable import formulas
from airtable_sync.airtable.access import AirtableAccess
from airtable_sync.airtable.connections import KeptConnectionClosed, KeptConnections
from airtable_sync.airtable.errors import (
    AirtableError,
    InvalidFilter,
    IteratorLost,
    RateLimited,
    Unavailable,
    translate_error,
)
from airtable_sync.airtable.limits.rate_limiter import RateLimiter
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.airtable.pages import PAGE_SIZE, Page, pages_to_end, validated_page
from airtable_sync.airtable.responses import (
    ACCEPT_ENCODING,
    read_response_within,
    required_text,
)
from airtable_sync.mapping.field_types import FieldType
from airtable_sync.mapping.records import BaseTables, Record
from airtable_sync.mapping.schema import Source

if TYPE_CHECKING:
    from pyairtable import Api

logger = logging.getLogger(__name__)

IDS_PER_REQUEST = 100
MAX_RESTARTS = 3
BLOCKED_MARGIN_SECONDS = 0.5  # the rate limiter must have seen the end of the pause too
_NEVER = threading.Event()


@dataclass(frozen=True, slots=True)
class AirtableBase:
    """Which base, and the token for it."""

    base_id: str
    api_key: str = field(repr=False)
    api_url: str


class AirtableClient:
    """One base. May be used by several threads: each gets its own HTTP session, because requests'
    sessions are not thread-safe. Every method raises AirtableError."""

    def __init__(
        self,
        base: AirtableBase,
        limits: RequestLimits,
        rate_limiter: RateLimiter,
        access: AirtableAccess,
    ) -> None:
        self._base = base
        self.limits = limits
        self._rate_limiter = rate_limiter
        self._access = access
        self.requests_made = 0
        self._deadline = float("-inf")
        self._threads = threading.local()
        self._count_lock = threading.Lock()

    def until(self, deadline: float) -> "AirtableClient":
        """The same client, for a call that waits until then (by `time.monotonic`): a request may
        take as long. Its requests are not counted in `requests_made`."""
        patient = copy.copy(self)
        patient._deadline = deadline  # noqa: SLF001 - the same class
        return patient

    def pages(self, source: Source, fields: Sequence[str] | None = None) -> Iterator[list[Record]]:
        """All records, page by page. Starts again when Airtable loses the position: keep records
        by their id."""
        return self._pages_with_restarts(source, source.filter, fields)

    def find(
        self, source: Source, formula: str, fields: Sequence[str] | None = None
    ) -> list[Record]:
        """The records of the source for which the formula is true."""
        both = formulas.both(formula, source.filter)
        pages = self._pages_with_restarts(source, both, fields)
        return list({record["id"]: record for page in pages for record in page}.values())

    def get_many(
        self, source: Source, record_ids: Iterable[str], fields: Sequence[str] | None = None
    ) -> list[Record]:
        """The records of these ids that exist, a hundred in each request."""
        wanted = list(dict.fromkeys(record_ids))
        found: list[Record] = []
        for start in range(0, len(wanted), IDS_PER_REQUEST):
            chunk = wanted[start : start + IDS_PER_REQUEST]
            found.extend(self.find(source, formulas.matches_records(chunk), fields))
        return found

    def read_tables(self) -> BaseTables:
        """https://airtable.com/developers/web/api/get-base-schema"""
        answer = self.request("GET", f"meta/bases/{self.base_id}/tables")
        try:
            return base_tables(answer["tables"])
        except (KeyError, TypeError) as error:
            raise Unavailable("Airtable's response has no tables.") from error

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Any other endpoint of the Web API, by its path below the version."""
        return self._request(method, str(self._api.build_url(path)), **arguments)

    @contextmanager
    def stop_when(self, ended: threading.Event) -> Iterator[None]:
        """Within this block the thread starts and retries no request once `ended` is set."""
        self._threads.ended = ended
        try:
            yield
        finally:
            self._api.session.close()
            del self._threads.ended

    def require_base(self) -> None:
        """Raises AirtableError if the token or the base is not set."""
        _ = self.base_id

    @property
    def base_id(self) -> str:
        if not self._base.api_key:
            raise AirtableError("AIRTABLE_API_KEY is not set.")
        if not self._base.base_id:
            raise AirtableError("AIRTABLE_BASE_ID is not set.")
        return self._base.base_id

    @property
    def _api(self) -> "Api":
        if not hasattr(self._threads, "api"):
            # Imported late, for the reason in `formulas.py`.
            api: Api = import_module("pyairtable").Api(
                self._base.api_key,
                retry_strategy=None,
                endpoint_url=self._base.api_url,
            )
            # Otherwise a .netrc file on the machine would replace the token.
            api.session.trust_env = False
            api.session.headers["Accept-Encoding"] = ACCEPT_ENCODING
            connections = KeptConnections()
            api.session.mount(self._base.api_url, connections)
            within = read_response_within(lambda: connections.response_until - time.monotonic())
            api.session.hooks["response"].append(within)
            self._threads.api = api
        return cast("Api", self._threads.api)

    @property
    def _ended(self) -> threading.Event:
        return cast("threading.Event", getattr(self._threads, "ended", _NEVER))

    def _pages_with_restarts(
        self, source: Source, formula: str, fields: Sequence[str] | None
    ) -> Iterator[list[Record]]:
        options: dict[str, Any] = {"view": source.view} if source.view else {}
        if formula:
            options["formula"] = formula
        if fields is not None:
            options["fields"] = list(fields)
        for restart in range(MAX_RESTARTS + 1):
            try:
                yield from self._pages(source.table, options)
            except IteratorLost:
                if restart == MAX_RESTARTS:
                    raise
            except InvalidFilter as error:
                raise InvalidFilter(f"{source.key}: {error}") from error
            else:
                return

    def _pages(self, table: str, options: dict[str, Any]) -> Iterator[list[Record]]:
        urls = self._api.table(self.base_id, table).urls
        fallback = ("POST", str(urls.records_post))

        def read_page(offset: str) -> Page:
            position = {"offset": offset} if offset else {}
            arguments = {
                "fallback": fallback,
                "options": {"page_size": PAGE_SIZE, **options, **position},
            }
            page = self._request("GET", str(urls.records), validated_page, **arguments)
            return cast("Page", page)

        return pages_to_end(read_page)

    def _request(
        self, method: str, url: str, parse: Callable[[Any], Any] | None = None, **arguments: Any
    ) -> Any:
        """The parsed response, with retries. `parse` raises Unavailable if it is malformed."""
        pauses = iter(self.limits.retry_pauses)
        while True:
            if self._ended.is_set():
                raise Unavailable("Reading Airtable was stopped.")
            try:
                answer = self._request_once(method, url, **arguments)
                return parse(answer) if parse else answer
            except (RateLimited, Unavailable) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise
                pause = max(pause, self._least_pause(error))
                logger.warning("%s Retry in %.0f s.", error, pause)
            self._ended.wait(pause)

    def _least_pause(self, error: AirtableError) -> float:
        if error.retry_after is not None:
            return error.retry_after + BLOCKED_MARGIN_SECONDS
        return self.limits.rate_limit_pause if isinstance(error, RateLimited) else 0.0

    def _request_once(self, method: str, url: str, **arguments: Any) -> Any:
        try:
            answer = self._send(method, url, **arguments)
        except (requests.RequestException, ValueError, RecursionError) as error:
            reason = translate_error(error)
            self._rate_limiter.block(reason)
            self._access.request_ended(reason)
            raise reason from error
        self._access.request_ended(None)
        return answer

    def _send(self, method: str, url: str, *, is_second: bool = False, **arguments: Any) -> Any:
        limits = self.limits.at_least(self._deadline - time.monotonic())
        # Connect before the permit: Airtable counts when a request arrives.
        connections = cast("KeptConnections", self._api.session.get_adapter(url))
        connections.open(url, limits.connect_seconds)
        permit = self._rate_limiter.acquire(limits.permit_seconds, is_call=limits.is_call)
        limits = self.limits.at_least(self._deadline - time.monotonic())  # the permit took its time
        timeouts = (limits.connect_seconds, limits.read_seconds)
        self._api.timeout = cast("tuple[int, int]", timeouts)
        connections.response_until = time.monotonic() + limits.response_seconds
        connections.on_sent = lambda: self._rate_limiter.request_sent(permit)
        with self._count_lock:
            self.requests_made += 1
        try:
            return self._api.request(method, url, **arguments)
        except KeptConnectionClosed:  # not a sign of an outage; reading again does no harm
            if is_second or method == "POST":
                raise
            return self._send(method, url, is_second=True, **arguments)


def base_tables(tables: Any) -> BaseTables:
    """What Airtable says of tables. Raises KeyError and TypeError."""
    names = {required_text(t["id"]): required_text(t["name"]) for t in tables}
    fields = {
        t["id"]: {required_text(f["id"]): required_text(f["name"]) for f in t["fields"]}
        for t in tables
    }
    return BaseTables(
        fields={name: list(fields[id_].values()) for id_, name in names.items()},
        ids={name: id_ for id_, name in names.items()},
        field_names=fields,
        types={
            t["name"]: {f["name"]: FieldType.from_schema(f) for f in t["fields"]} for t in tables
        },
        primary_fields={
            t["name"]: fields[t["id"]].get(required_text(t.get("primaryFieldId", "")), "")
            for t in tables
        },
        views={t["name"]: _names_and_ids(t.get("views")) for t in tables},
    )


def _names_and_ids(views: Any) -> list[str]:
    if not isinstance(views, list):
        return []
    texts = (view.get(key) for view in views if isinstance(view, dict) for key in ("name", "id"))
    return [text for text in texts if isinstance(text, str)]
