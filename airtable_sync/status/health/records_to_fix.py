"""Records in Airtable that a person has to correct, as the last complete run found them."""

import re
from dataclasses import dataclass

from airtable_sync.models import Run

SHOWN = 20
SEVERAL = "Several records have the number {number}."
FIRST_COUNTS = "The config of the first record, which is the oldest."
IGNORED = "Nothing: this record is ignored."
REST_COUNTS = "The rest of the config."
_WARNING = re.compile(r"(?P<record>[^:]+/rec\w+): (?P<problem>.+)", re.DOTALL)


@dataclass(frozen=True)
class RecordToFix:
    """`records` are "table/rec…"; `served` is what callers get meanwhile."""

    records: tuple[str, ...]
    problem: str
    served: str
    number: str = ""


@dataclass(frozen=True)
class RecordsToFix:
    run: Run
    count: int
    shown: list[RecordToFix]


def records_to_fix(run: Run) -> RecordsToFix:
    """One query. Raises DatabaseError."""
    names = ("details__conflicts", "details__invalid", "details__warnings")
    conflicts, invalid, warnings = (
        each or [] for each in Run.objects.values_list(*names).get(pk=run.pk)
    )
    found = [
        *(_conflict(each["number"], tuple(each["records"])) for each in conflicts),
        *(RecordToFix((each["record"],), _sentence(each["reason"]), IGNORED) for each in invalid),
        *(made for each in warnings if (made := _warning(each))),
    ]
    return RecordsToFix(run, len(found), found[:SHOWN])


def _conflict(number: str, records: tuple[str, ...]) -> RecordToFix:
    is_number = number.startswith("+")  # a contact's is described: it is not shown
    problem = SEVERAL.format(number=number) if is_number else f"{number} is in several records."
    return RecordToFix(records, problem, FIRST_COUNTS, number if is_number else "")


def _warning(text: str) -> RecordToFix | None:
    """None for a warning about the mapping."""
    match = _WARNING.fullmatch(text)
    if not match:
        return None
    return RecordToFix((match["record"],), _sentence(match["problem"]), REST_COUNTS)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
