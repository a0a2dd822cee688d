"""Text functions of formulas, with those for regular expressions."""

import re
from functools import lru_cache
from urllib.parse import quote

from sandbox.airtable.formulas.functions import MANY, Functions
from sandbox.airtable.formulas.values import NoValue, Value, number, scalar, text, whole

TEXT = Functions()
MAX_LENGTH = 100_000
NOT_RE2 = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9]")
"""Look-around and back references: Airtable uses RE2, which has neither."""


@TEXT.define(1, MANY)
def concatenate(*values: Value) -> Value:
    return "".join(map(text, values))


@TEXT.define(1)
def len_(value: Value) -> Value:
    return len(text(value))


@TEXT.define(1)
def lower(value: Value) -> Value:
    return text(value).lower()


@TEXT.define(1)
def upper(value: Value) -> Value:
    return text(value).upper()


@TEXT.define(1)
def trim(value: Value) -> Value:
    return text(value).strip()


@TEXT.define(1)
def t(value: Value) -> Value:
    return value if isinstance(value, str) else None


@TEXT.define(1)
def value(written: Value) -> Value:
    if isinstance(scalar(written), int | float):
        return number(written)
    try:
        return float(re.sub(r"[^0-9.eE+-]", "", text(written)))
    except ValueError as error:
        raise NoValue from error


@TEXT.define(2)
def left(value: Value, count: Value) -> Value:
    return text(value)[: max(0, whole(count))]


@TEXT.define(2)
def right(value: Value, count: Value) -> Value:
    length = max(0, whole(count))
    return text(value)[-length:] if length else ""


@TEXT.define(3)
def mid(value: Value, start: Value, count: Value) -> Value:
    first = max(0, whole(start) - 1)
    return text(value)[first : first + max(0, whole(count))]


@TEXT.define(2, 3)
def find(searched: Value, value: Value, start: Value = None) -> Value:
    """The position, from 1; 0 if it is not found."""
    return text(value).find(text(searched), max(0, whole(start) - 1)) + 1


@TEXT.define(2, 3)
def search(searched: Value, value: Value, start: Value = None) -> Value:
    """Like FIND, but blank if it is not found."""
    return text(value).find(text(searched), max(0, whole(start) - 1)) + 1 or None


@TEXT.define(3, 4)
def substitute(value: Value, old: Value, new: Value, index: Value = None) -> Value:
    """Replaces all occurrences, or only the one with this number."""
    whole_text, searched, replacement = text(value), text(old), text(new)
    if not searched or searched not in whole_text:
        return whole_text
    if index is None:
        return _bounded(whole_text.replace(searched, replacement))
    parts = whole_text.split(searched)
    at = whole(index)
    if not 0 < at < len(parts):
        return whole_text
    return searched.join(parts[:at]) + replacement + searched.join(parts[at:])


@TEXT.define(4)
def replace(value: Value, start: Value, count: Value, replacement: Value) -> Value:
    whole_text = text(value)
    first = max(0, whole(start) - 1)
    return whole_text[:first] + text(replacement) + whole_text[first + max(0, whole(count)) :]


@TEXT.define(2)
def rept(value: Value, count: Value) -> Value:
    times = max(0, whole(count))
    if len(text(value)) * times > MAX_LENGTH:
        raise NoValue
    return text(value) * times


@TEXT.define(2)
def exact(left_value: Value, right_value: Value) -> Value:
    return text(left_value) == text(right_value)


@TEXT.define(1, 2)
def arrayjoin(values: Value, separator: Value = ", ") -> Value:
    items = values if isinstance(values, list) else [values]
    return text(separator).join(map(text, items))


@TEXT.define(1)
def encode_url_component(value: Value) -> Value:
    return quote(text(value), safe="!'()*")


@TEXT.define(2)
def regex_match(value: Value, pattern: Value) -> Value:
    return _compiled(text(pattern)).search(text(value)) is not None


@TEXT.define(2)
def regex_extract(value: Value, pattern: Value) -> Value:
    match = _compiled(text(pattern)).search(text(value))
    if match is None:
        raise NoValue
    return match[1] if match.re.groups else match[0]


@TEXT.define(3)
def regex_replace(value: Value, pattern: Value, replacement: Value) -> Value:
    """In the replacement, $1 is the first group."""
    template = re.sub(r"\$(\d)", r"\\g<\1>", text(replacement).replace("\\", r"\\"))
    try:
        return _bounded(_compiled(text(pattern)).sub(template, text(value)))
    except (re.error, IndexError) as error:
        raise NoValue from error


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Like RE2, \\s does not match a non-breaking space, and \\d matches only 0 to 9."""
    if NOT_RE2.search(pattern):
        raise NoValue
    try:
        return re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise NoValue from error


def _bounded(result: str) -> str:
    if len(result) > MAX_LENGTH:
        raise NoValue
    return result
