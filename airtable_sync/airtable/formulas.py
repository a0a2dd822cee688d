"""What Airtable is asked for, in its language of formulas, as pyairtable writes it.

That library takes a third of all imports, and is needed for what is not cached only. No start waits
for it: each process imports it in the background when it is ready (`load`). Who needs it before,
in the first second, waits for that."""

from collections.abc import Collection, Iterable
from types import ModuleType
from typing import Any

from airtable_sync.mapping.phone_numbers import last_digits


def load() -> None:
    _language()


def nothing() -> str:
    return str(_language().FALSE())


def any_record(ids: Iterable[str]) -> str:
    return str(_language().OR(*_are(ids)))


def any_number(numbers: Collection[str], field: str, ids: Iterable[str] = ()) -> str:
    """Records that hold the same last digits, however the number is written and whatever follows
    it (`;ext=5`, `@host`); which of them really are the number is decided in Python, by the same
    function as in the refresh. Also the records of these ids."""
    language = _language()
    digits = language.REGEX_REPLACE(language.CONCATENATE(language.Field(field), ""), "[^0-9]+", "")
    endings = sorted({last_digits(number) for number in numbers})
    held = [language.FIND(ending, digits) for ending in endings]
    return str(language.OR(*held, *_are(ids)))


def _are(ids: Iterable[str]) -> list[Any]:
    language = _language()
    return [language.EQ(language.RECORD_ID(), each) for each in ids]


def _language() -> ModuleType:
    from pyairtable import formulas  # noqa: PLC0415

    return formulas
