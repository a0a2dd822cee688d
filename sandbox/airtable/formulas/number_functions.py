"""Numeric functions of formulas."""

import math

from sandbox.airtable.formulas.functions import MANY, Functions
from sandbox.airtable.formulas.values import ErrorValue, NoValue, Value, number, whole

NUMBERS = Functions()


@NUMBERS.define(1)
def abs_(value: Value) -> Value:
    return abs(number(value))


@NUMBERS.define(1)
def int_(value: Value) -> Value:
    return math.floor(number(value))


@NUMBERS.define(2)
def mod(value: Value, divisor: Value) -> Value:
    return number(value) % number(divisor)


@NUMBERS.define(1, 2)
def round_(value: Value, precision: Value = None) -> Value:
    """Rounds halves away from zero."""
    factor = 10.0 ** max(-30, min(30, whole(precision)))
    scaled = number(value) * factor
    return math.copysign(math.floor(abs(scaled) + 0.5), scaled) / factor


@NUMBERS.define(1, MANY)
def sum_(*values: Value) -> Value:
    return sum(_numbers(values))


@NUMBERS.define(1, MANY)
def max_(*values: Value) -> Value:
    return max(_numbers(values), default=0)


@NUMBERS.define(1, MANY)
def min_(*values: Value) -> Value:
    return min(_numbers(values), default=0)


@NUMBERS.define(1, MANY)
def counta(*values: Value) -> Value:
    return sum(value not in (None, "") for value in _flat(values))


def _flat(values: tuple[Value, ...]) -> list[Value]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _numbers(values: tuple[Value, ...]) -> list[int | float]:
    """Ignores blanks and text, also within a list."""
    flat = _flat(values)
    if any(isinstance(value, ErrorValue) for value in flat):
        raise NoValue
    return [value for value in flat if isinstance(value, int | float)]
