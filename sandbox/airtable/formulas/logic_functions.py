"""Logical functions of formulas."""

from sandbox.airtable.formulas.functions import MANY, Functions
from sandbox.airtable.formulas.values import ERROR, ErrorValue, Value, equal, truthy

LOGIC = Functions()


@LOGIC.define(1, MANY)
def and_(*values: Value) -> Value:
    return all(map(truthy, values))


@LOGIC.define(1, MANY)
def or_(*values: Value) -> Value:
    return any(map(truthy, values))


@LOGIC.define(1, MANY)
def xor(*values: Value) -> Value:
    return sum(map(truthy, values)) % 2 == 1


@LOGIC.define(1)
def not_(value: Value) -> Value:
    return not truthy(value)


@LOGIC.define(2, 3, takes_errors=True)
def if_(condition: Value, then: Value, otherwise: Value = None) -> Value:
    if isinstance(condition, ErrorValue):
        return ERROR
    return then if truthy(condition) else otherwise


@LOGIC.define(3, MANY, takes_errors=True)
def switch(expression: Value, *patterns: Value) -> Value:
    pairs, default = patterns, None
    if len(patterns) % 2:
        pairs, default = patterns[:-1], patterns[-1]
    for pattern, result in zip(pairs[::2], pairs[1::2], strict=True):
        if ERROR not in (expression, pattern) and equal(expression, pattern):
            return result
    return default


@LOGIC.define(0)
def true() -> Value:
    return True


@LOGIC.define(0)
def false() -> Value:
    return False


@LOGIC.define(0)
def blank() -> Value:
    return None


@LOGIC.define(0)
def error() -> Value:
    return ERROR


@LOGIC.define(1, takes_errors=True)
def iserror(value: Value) -> Value:
    return isinstance(value, ErrorValue) or bool(value != value)
