"""The operators of formulas."""

import math
import operator
from collections.abc import Callable
from typing import TypeAlias

from sandbox.airtable.formulas.values import ERROR, NoValue, Value, equal, less, number, text

Operator: TypeAlias = Callable[[Value, Value], Value]


def apply(operate: Operator, left: Value, right: Value) -> Value:
    if left is ERROR or right is ERROR:
        return ERROR
    try:
        return operate(left, right)
    except (NoValue, ArithmeticError, ValueError):
        return ERROR


def _plus(left: Value, right: Value) -> Value:
    if isinstance(left, str) or isinstance(right, str):
        return text(left) + text(right)
    return number(left) + number(right)


def _arithmetic(compute: Callable[[float, float], float]) -> Operator:
    return lambda left, right: compute(number(left), number(right))


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    return math.copysign(math.inf, left) if left else math.nan


OPERATORS: dict[str, Operator] = {
    "=": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": less,
    ">": lambda left, right: less(right, left),
    "<=": lambda left, right: less(left, right) or equal(left, right),
    ">=": lambda left, right: less(right, left) or equal(left, right),
    "&": lambda left, right: text(left) + text(right),
    "+": _plus,
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(_divide),
}
