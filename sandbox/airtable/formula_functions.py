"""Formula functions of values alone: logic, numbers, and the table of all functions.

Each is registered with the number of arguments it takes; the evaluator hands on errors, so a
function sees none, except those registered with errors=True.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.airtable.formula_values import (
    ERROR,
    ErrorValue,
    NoValue,
    Value,
    equal,
    number,
    truthy,
    whole,
)

MANY = 10_000


@dataclass(frozen=True)
class Function:
    compute: Callable[..., Value]
    fewest: int
    most: int
    errors: bool


FUNCTIONS: dict[str, Function] = {}


def function(
    fewest: int, most: int | None = None, *, errors: bool = False
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Registers a function under its own name in capitals."""

    def register(compute: Callable[..., Value]) -> Callable[..., Value]:
        name = compute.__name__.upper().rstrip("_")
        FUNCTIONS[name] = Function(compute, fewest, fewest if most is None else most, errors)
        return compute

    return register


@function(1, MANY)
def and_(*values: Value) -> Value:
    return all(map(truthy, values))


@function(1, MANY)
def or_(*values: Value) -> Value:
    return any(map(truthy, values))


@function(1, MANY)
def xor(*values: Value) -> Value:
    return sum(map(truthy, values)) % 2 == 1


@function(1)
def not_(value: Value) -> Value:
    return not truthy(value)


@function(2, 3, errors=True)
def if_(condition: Value, then: Value, otherwise: Value = None) -> Value:
    if isinstance(condition, ErrorValue):
        return ERROR
    return then if truthy(condition) else otherwise


@function(3, MANY, errors=True)
def switch(expression: Value, *patterns: Value) -> Value:
    pairs, default = patterns, None
    if len(patterns) % 2:
        pairs, default = patterns[:-1], patterns[-1]
    for pattern, result in zip(pairs[::2], pairs[1::2], strict=True):
        if ERROR not in (expression, pattern) and equal(expression, pattern):
            return result
    return default


@function(0)
def true() -> Value:
    return True


@function(0)
def false() -> Value:
    return False


@function(0)
def blank() -> Value:
    return None


@function(0)
def error() -> Value:
    return ERROR


@function(1, errors=True)
def iserror(value: Value) -> Value:
    return isinstance(value, ErrorValue) or bool(value != value)


@function(1)
def abs_(value: Value) -> Value:
    return abs(number(value))


@function(1)
def int_(value: Value) -> Value:
    return math.floor(number(value))


@function(2)
def mod(value: Value, divisor: Value) -> Value:
    return number(value) % number(divisor)


@function(1, 2)
def round_(value: Value, precision: Value = None) -> Value:
    """Halves go away from zero."""
    factor = 10.0 ** max(-30, min(30, whole(precision)))
    scaled = number(value) * factor
    return math.copysign(math.floor(abs(scaled) + 0.5), scaled) / factor


@function(1, MANY)
def sum_(*values: Value) -> Value:
    return sum(_numbers(values))


@function(1, MANY)
def max_(*values: Value) -> Value:
    return max(_numbers(values), default=0)


@function(1, MANY)
def min_(*values: Value) -> Value:
    return min(_numbers(values), default=0)


@function(1, MANY)
def counta(*values: Value) -> Value:
    return sum(value not in (None, "") for value in _flat(values))


def _flat(values: tuple[Value, ...]) -> list[Value]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _numbers(values: tuple[Value, ...]) -> list[int | float]:
    """Blank and text are passed over, in fields of several values, too."""
    flat = _flat(values)
    if any(isinstance(value, ErrorValue) for value in flat):
        raise NoValue
    return [value for value in flat if isinstance(value, int | float)]
