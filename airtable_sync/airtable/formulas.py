"""Filter formulas, in Airtable's formula language, written by pyairtable.

Importing pyairtable takes a third of all import time, and only cache misses need it. So no start
waits for it: each process imports it in the background when it is ready (`load`)."""

from collections.abc import Collection, Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

from airtable_sync.mapping.phone_numbers import FULL_WIDTH_DIGITS, last_digits


def load() -> None:
    _pyairtable_formulas()


def matches_nothing() -> str:
    return str(_pyairtable_formulas().FALSE())


def matches_records(record_ids: Iterable[str]) -> str:
    return str(_pyairtable_formulas().OR(*_record_conditions(record_ids)))


def both(formula: str, filter_: str) -> str:
    """`filter_` is the user's own: it may be empty, or end with a comment."""
    return f"AND({formula},\n{filter_}\n)" if filter_ else formula


def matches_numbers(
    numbers: Collection[str], fields: Iterable[str], record_ids: Iterable[str] = ()
) -> str:
    """Matches records of which one of the fields has the last digits of a number, however it is
    written and whatever follows it (`;ext=5`, `@host`), and the records of these ids. Python
    decides later which of them really have the number, with the function that the refresh uses
    too."""
    language = _pyairtable_formulas()
    endings = sorted({last_digits(number) for number in numbers})
    conditions = [language.FIND(ending, _digits(field)) for field in fields for ending in endings]
    return str(language.OR(*conditions, *_record_conditions(record_ids)))


def _digits(field: str) -> Any:
    language = _pyairtable_formulas()
    text = language.CONCATENATE(language.Field(field), "")
    for digit, full_width in enumerate(FULL_WIDTH_DIGITS):
        text = language.SUBSTITUTE(text, full_width, str(digit))
    return language.REGEX_REPLACE(text, "[^0-9]+", "")


def _record_conditions(record_ids: Iterable[str]) -> list[Any]:
    language = _pyairtable_formulas()
    return [language.EQ(language.RECORD_ID(), each) for each in record_ids]


def _pyairtable_formulas() -> ModuleType:
    return import_module("pyairtable.formulas")
