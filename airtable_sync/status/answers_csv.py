"""The answer log as CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator

from airtable_sync.monitoring.calls.answer_log import LoggedAnswer
from airtable_sync.status.display.masking import mask

COLUMNS = (
    "time_utc",
    "called_number",
    "platform",
    "call_id",
    "source",
    "known",
    "seconds",
    "data_read_utc",
    "origin",
    "contact_record",
    "variables",
)
# A spreadsheet would run a cell that begins with one of these as a formula.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_pages(pages: Iterable[list[LoggedAnswer]], *, may_see: bool) -> Iterator[str]:
    """The rows of each page, with a heading before the first. `may_see`: whether the user may see
    secrets."""
    # Excel takes a file for UTF-8 if it begins with a byte order mark.
    heading = f"\ufeff{_text([COLUMNS])}"
    for page in pages:
        yield heading + _text(_row(each, may_see=may_see) for each in page)
        heading = ""
    if heading:
        yield heading


def _row(answer: LoggedAnswer, *, may_see: bool) -> list[str]:
    variables = answer.variables
    shown = "" if variables is None else json.dumps(mask(variables, may_see=may_see))
    read_at = answer.read_at.isoformat() if answer.read_at else ""
    return [
        answer.at.isoformat(timespec="milliseconds"),
        answer.number,  # E.164: a plus sign and digits are no formula
        _safe(answer.platform),
        _safe(answer.call_id),
        answer.source,
        "yes" if answer.is_known else "no",
        f"{answer.seconds:.6f}",
        read_at,
        answer.origin,
        _safe(answer.contact),
        shown,
    ]


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _text(rows: Iterable[Iterable[str]]) -> str:
    output = io.StringIO()
    csv.writer(output).writerows(rows)
    return output.getvalue()
