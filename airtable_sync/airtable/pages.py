"""The pages of a list of records: https://airtable.com/developers/web/api/list-records"""

from collections.abc import Callable, Iterator
from typing import Any, NotRequired, TypedDict, cast

from airtable_sync.airtable.errors import Unavailable
from airtable_sync.mapping.records import Record

PAGE_SIZE = 100
# Twice as many as the records of a base in Airtable's largest plan (500,000) take.
MAX_PAGES = 10_000
MAX_OFFSET_LENGTH = 1000  # Airtable's have 35 characters; all of a list are kept while it is read


class Page(TypedDict):
    records: list[Record]
    offset: NotRequired[str | None]  # of the next page


def pages_to_end(read_page: Callable[[str], Page]) -> Iterator[list[Record]]:
    """`read_page` takes a page's offset, "" for the first page. Raises Unavailable if the list has
    no end."""
    offset, seen = "", set[str]()
    for _ in range(MAX_PAGES):
        page = read_page(offset)
        yield page["records"]
        offset = page.get("offset") or ""
        if not offset:
            return
        if offset in seen:
            raise Unavailable("Airtable's list of records has no end: an offset came twice.")
        seen.add(offset)
    raise Unavailable(f"Airtable's list of records has more than {MAX_PAGES} pages.")


def validated_page(answer: Any) -> Page:
    """Checks the shape once, so that the callers need not. Raises Unavailable."""
    records = answer.get("records") if isinstance(answer, dict) else None
    if not isinstance(records, list) or not all(map(_is_record, records)):
        raise Unavailable("Airtable's response is not a list of records.")
    offset = answer.get("offset") or ""
    if not isinstance(offset, str) or len(offset) > MAX_OFFSET_LENGTH:
        raise Unavailable("Airtable's response has an invalid offset.")
    return cast("Page", answer)


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("id"), str)
        and isinstance(record.get("createdTime"), str)
        and isinstance(record.get("fields"), dict)
    )
