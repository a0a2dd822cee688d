"""Formula functions of text, regular expressions among them."""

import re
from functools import lru_cache
from urllib.parse import quote

from sandbox.airtable.formula_functions import MANY, function
from sandbox.airtable.formula_values import NoValue, Value, number, scalar, text, whole

LONGEST = 100_000
NOT_RE2 = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9]")
"""Look-around and back references, which Airtable's RE2 refuses."""


@function(1, MANY)
def concatenate(*values: Value) -> Value:
    return "".join(map(text, values))


@function(1)
def len_(value: Value) -> Value:
    return len(text(value))


@function(1)
def lower(value: Value) -> Value:
    return text(value).lower()


@function(1)
def upper(value: Value) -> Value:
    return text(value).upper()


@function(1)
def trim(value: Value) -> Value:
    return text(value).strip()


@function(1)
def t(value: Value) -> Value:
    return value if isinstance(value, str) else None


@function(1)
def value(written: Value) -> Value:
    if isinstance(scalar(written), int | float):
        return number(written)
    try:
        return float(re.sub(r"[^0-9.eE+-]", "", text(written)))
    except ValueError as error:
        raise NoValue from error


@function(2)
def left(value: Value, count: Value) -> Value:
    return text(value)[: max(0, whole(count))]


@function(2)
def right(value: Value, count: Value) -> Value:
    length = max(0, whole(count))
    return text(value)[-length:] if length else ""


@function(3)
def mid(value: Value, start: Value, count: Value) -> Value:
    first = max(0, whole(start) - 1)
    return text(value)[first : first + max(0, whole(count))]


@function(2, 3)
def find(wanted: Value, where: Value, start: Value = None) -> Value:
    """From 1; 0 when it is not there."""
    return text(where).find(text(wanted), max(0, whole(start) - 1)) + 1


@function(2, 3)
def search(wanted: Value, where: Value, start: Value = None) -> Value:
    """As FIND, but blank when it is not there."""
    return text(where).find(text(wanted), max(0, whole(start) - 1)) + 1 or None


@function(3, 4)
def substitute(value: Value, old: Value, new: Value, index: Value = None) -> Value:
    """All occurrences, or the one of that number."""
    whole_text, wanted, replacement = text(value), text(old), text(new)
    if not wanted or wanted not in whole_text:
        return whole_text
    if index is None:
        return _bounded(whole_text.replace(wanted, replacement))
    parts = whole_text.split(wanted)
    at = whole(index)
    if not 0 < at < len(parts):
        return whole_text
    return wanted.join(parts[:at]) + replacement + wanted.join(parts[at:])


@function(4)
def replace(value: Value, start: Value, count: Value, replacement: Value) -> Value:
    whole_text = text(value)
    first = max(0, whole(start) - 1)
    return whole_text[:first] + text(replacement) + whole_text[first + max(0, whole(count)) :]


@function(2)
def rept(value: Value, count: Value) -> Value:
    times = max(0, whole(count))
    if len(text(value)) * times > LONGEST:
        raise NoValue
    return text(value) * times


@function(2)
def exact(left_value: Value, right_value: Value) -> Value:
    return text(left_value) == text(right_value)


@function(1, 2)
def arrayjoin(values: Value, separator: Value = ", ") -> Value:
    items = values if isinstance(values, list) else [values]
    return text(separator).join(map(text, items))


@function(1)
def encode_url_component(value: Value) -> Value:
    return quote(text(value), safe="!'()*")


@function(2)
def regex_match(value: Value, pattern: Value) -> Value:
    return _compiled(text(pattern)).search(text(value)) is not None


@function(2)
def regex_extract(value: Value, pattern: Value) -> Value:
    match = _compiled(text(pattern)).search(text(value))
    if match is None:
        raise NoValue
    return match[1] if match.re.groups else match[0]


@function(3)
def regex_replace(value: Value, pattern: Value, replacement: Value) -> Value:
    """$1 in the replacement is the first group."""
    template = re.sub(r"\$(\d)", r"\\g<\1>", text(replacement).replace("\\", r"\\"))
    try:
        return _bounded(_compiled(text(pattern)).sub(template, text(value)))
    except (re.error, IndexError) as error:
        raise NoValue from error


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """As in RE2, \\s is no non-breaking space and \\d no digit but 0 to 9."""
    if NOT_RE2.search(pattern):
        raise NoValue
    try:
        return re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise NoValue from error


def _bounded(result: str) -> str:
    if len(result) > LONGEST:
        raise NoValue
    return result
