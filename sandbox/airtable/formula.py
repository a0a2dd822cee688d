"""Formulas, compiled once for a table and then asked for each record.

Everything wrong with the text is found while compiling and raised as Airtable's 422; a formula
that compiled always gives a value.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeAlias

from sandbox.airtable import formula_dates, formula_text  # noqa: F401 - they register functions
from sandbox.airtable.errors import (
    formula_syntax,
    not_in_the_sandbox,
    unknown_formula_fields,
    unknown_functions,
)
from sandbox.airtable.formula_functions import FUNCTIONS, Function
from sandbox.airtable.formula_operators import OPERATORS, apply
from sandbox.airtable.formula_parser import (
    Call,
    Chain,
    FieldReference,
    Literal,
    Negation,
    Node,
    parse,
)
from sandbox.airtable.formula_values import (
    ERROR,
    NoValue,
    Value,
    number,
)
from sandbox.airtable.schema import Field

NOT_IMITATED = frozenset(
    [
        "ARRAYCOMPACT",
        "ARRAYFLATTEN",
        "ARRAYSLICE",
        "ARRAYUNIQUE",
        "AVERAGE",
        "CEILING",
        "COUNT",
        "COUNTALL",
        "DATETIME_FORMAT",
        "DAY",
        "EVEN",
        "EXP",
        "FLOOR",
        "FROMNOW",
        "HOUR",
        "LOG",
        "MINUTE",
        "MONTH",
        "ODD",
        "POWER",
        "ROUNDDOWN",
        "ROUNDUP",
        "SECOND",
        "SET_LOCALE",
        "SET_TIMEZONE",
        "SQRT",
        "TIMESTR",
        "TONOW",
        "WEEKDAY",
        "WEEKNUM",
        "WORKDAY",
        "WORKDAY_DIFF",
        "YEAR",
    ]
)


class Row(Protocol):
    """A record as formulas see it."""

    @property
    def id(self) -> str: ...
    @property
    def created_time(self) -> datetime: ...
    def value(self, field: Field) -> Value: ...
    def last_modified(self, fields: list[Field]) -> datetime | None: ...


Evaluator: TypeAlias = Callable[[Row], Value]


def compile_formula(formula: str, fields: list[Field]) -> Evaluator:
    node = parse(formula)
    compiler = Compiler(fields)
    evaluator = compiler.compile(node)
    if compiler.unknown_fields:
        raise unknown_formula_fields(dict.fromkeys(compiler.unknown_fields))
    if compiler.unknown_functions:
        raise unknown_functions(dict.fromkeys(compiler.unknown_functions))
    return evaluator


class Compiler:
    def __init__(self, fields: list[Field]) -> None:
        self._fields = {key: field for field in fields for key in (field.id, field.name)}
        self.unknown_fields: list[str] = []
        self.unknown_functions: list[str] = []

    def compile(self, node: Node) -> Evaluator:
        match node:
            case Literal(value):
                return lambda _row: value
            case FieldReference(name):
                return self._field(name)
            case Negation(of):
                return _safely(lambda value: -number(value), [self.compile(of)])
            case Chain(first, rest):
                return self._chain(first, rest)
            case Call(name, arguments):
                return self._call(name, arguments)

    def _field(self, name: str) -> Evaluator:
        field = self._fields.get(name)
        if field is None:
            self.unknown_fields.append(name)
            return lambda _row: None
        return lambda row: row.value(field)

    def _chain(self, first: Node, rest: tuple[tuple[str, Node], ...]) -> Evaluator:
        start = self.compile(first)
        steps = [(OPERATORS[sign], self.compile(node)) for sign, node in rest]

        def evaluate(row: Row) -> Value:
            value = start(row)
            for operate, operand in steps:
                value = apply(operate, value, operand(row))
            return value

        return evaluate

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Evaluator:
        if name in ROW_FUNCTIONS:
            return self._row_function(name, arguments)
        operands = [self.compile(argument) for argument in arguments]
        function = FUNCTIONS.get(name)
        if function is None:
            return self._unknown(name)
        if not function.fewest <= len(operands) <= function.most:
            raise _wrong_count(name, len(operands))
        return _called(function, operands)

    def _unknown(self, name: str) -> Evaluator:
        if name in NOT_IMITATED:
            raise not_in_the_sandbox(f"the formula function {name}")
        self.unknown_functions.append(name)
        return lambda _row: None

    def _row_function(self, name: str, arguments: tuple[Node, ...]) -> Evaluator:
        """RECORD_ID(), CREATED_TIME(), and LAST_MODIFIED_TIME() of all or of some fields."""
        names = [node.name for node in arguments if isinstance(node, FieldReference)]
        if len(names) < len(arguments) or (names and name != "LAST_MODIFIED_TIME"):
            raise formula_syntax()
        for each in names:
            self._field(each)
        fields = [self._fields[each] for each in names if each in self._fields]
        read = ROW_FUNCTIONS[name]
        return lambda row: read(row, fields)


ROW_FUNCTIONS: dict[str, Callable[[Row, list[Field]], Value]] = {
    "RECORD_ID": lambda row, _fields: row.id,
    "CREATED_TIME": lambda row, _fields: row.created_time,
    "LAST_MODIFIED_TIME": lambda row, fields: row.last_modified(fields),
}


def _called(function: Function, operands: list[Evaluator]) -> Evaluator:
    if not function.errors:
        return _safely(function.compute, operands)
    return lambda row: function.compute(*(operand(row) for operand in operands))


def _safely(compute: Callable[..., Value], operands: list[Evaluator]) -> Evaluator:
    def evaluate(row: Row) -> Value:
        values = [operand(row) for operand in operands]
        if any(value is ERROR for value in values):
            return ERROR
        try:
            return compute(*values)
        except (NoValue, ArithmeticError, ValueError):
            return ERROR

    return evaluate


def _wrong_count(name: str, given: int) -> Exception:
    if name == "DATETIME_PARSE" and given > 1:
        return not_in_the_sandbox("DATETIME_PARSE with a format")
    return formula_syntax()
