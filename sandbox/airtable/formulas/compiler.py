"""Compiles a formula once for a table, to evaluate it for each record.

Errors in the formula's text are found while compiling and raised as Airtable's 422. A compiled
formula always gives a value.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol, TypeAlias

from sandbox.airtable.common.errors import (
    formula_syntax,
    unknown_formula_fields,
    unknown_functions,
    unsupported,
)
from sandbox.airtable.formulas.catalog import FUNCTIONS, UNSUPPORTED
from sandbox.airtable.formulas.functions import Function
from sandbox.airtable.formulas.operators import OPERATORS, apply
from sandbox.airtable.formulas.parser import (
    Call,
    Chain,
    FieldReference,
    Literal,
    Negation,
    Node,
    parse,
)
from sandbox.airtable.formulas.values import ERROR, NoValue, Value, number


class FormulaField(Protocol):
    """What formulas need of a field."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


class FormulaRecord(Protocol):
    """What formulas need of a record."""

    @property
    def id(self) -> str: ...
    @property
    def created_time(self) -> datetime: ...
    def formula_value(self, field_id: str) -> Value: ...
    def last_modified(self, field_ids: list[str]) -> datetime | None: ...


Evaluator: TypeAlias = Callable[[FormulaRecord], Value]


def compile_formula(formula: str, fields: Iterable[FormulaField]) -> Evaluator:
    """Raises AirtableError: 422 for a wrong formula, 501 if the sandbox does not support it."""
    node = parse(formula)
    compiler = Compiler(fields)
    evaluator = compiler.compile(node)
    if compiler.unknown_fields:
        raise unknown_formula_fields(dict.fromkeys(compiler.unknown_fields))
    if compiler.unknown_functions:
        raise unknown_functions(dict.fromkeys(compiler.unknown_functions))
    return evaluator


class Compiler:
    def __init__(self, fields: Iterable[FormulaField]) -> None:
        self._field_ids = {key: field.id for field in fields for key in (field.id, field.name)}
        self.unknown_fields: list[str] = []
        self.unknown_functions: list[str] = []

    def compile(self, node: Node) -> Evaluator:
        match node:
            case Literal(value):
                return lambda _record: value
            case FieldReference(name):
                return self._field(name)
            case Negation(of):
                return _error_safe(lambda value: -number(value), [self.compile(of)])
            case Chain(first, rest):
                return self._chain(first, rest)
            case Call(name, arguments):
                return self._call(name, arguments)

    def _field(self, name: str) -> Evaluator:
        field_id = self._field_ids.get(name)
        if field_id is None:
            self.unknown_fields.append(name)
            return lambda _record: None
        return lambda record: record.formula_value(field_id)

    def _chain(self, first: Node, rest: tuple[tuple[str, Node], ...]) -> Evaluator:
        start = self.compile(first)
        steps = [(OPERATORS[sign], self.compile(node)) for sign, node in rest]

        def evaluate(record: FormulaRecord) -> Value:
            value = start(record)
            for operate, operand in steps:
                value = apply(operate, value, operand(record))
            return value

        return evaluate

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Evaluator:
        if name in RECORD_FUNCTIONS:
            return self._record_function(name, arguments)
        operands = [self.compile(argument) for argument in arguments]
        function = FUNCTIONS.get(name)
        if function is None:
            return self._unknown_function(name)
        if not function.min_arguments <= len(operands) <= function.max_arguments:
            raise _wrong_argument_count(name, len(operands))
        return _function_call(function, operands)

    def _unknown_function(self, name: str) -> Evaluator:
        if name in UNSUPPORTED:
            raise unsupported(f"the formula function {name}")
        self.unknown_functions.append(name)
        return lambda _record: None

    def _record_function(self, name: str, arguments: tuple[Node, ...]) -> Evaluator:
        """RECORD_ID(), CREATED_TIME(), and LAST_MODIFIED_TIME() of all or of some fields."""
        names = [node.name for node in arguments if isinstance(node, FieldReference)]
        if len(names) < len(arguments) or (names and name != "LAST_MODIFIED_TIME"):
            raise formula_syntax()
        for each in names:
            self._field(each)
        field_ids = [self._field_ids[each] for each in names if each in self._field_ids]
        read = RECORD_FUNCTIONS[name]
        return lambda record: read(record, field_ids)


RECORD_FUNCTIONS: dict[str, Callable[[FormulaRecord, list[str]], Value]] = {
    "RECORD_ID": lambda record, _field_ids: record.id,
    "CREATED_TIME": lambda record, _field_ids: record.created_time,
    "LAST_MODIFIED_TIME": lambda record, field_ids: record.last_modified(field_ids),
}


def _function_call(function: Function, operands: list[Evaluator]) -> Evaluator:
    if not function.takes_errors:
        return _error_safe(function.compute, operands)
    return lambda record: function.compute(*(operand(record) for operand in operands))


def _error_safe(compute: Callable[..., Value], operands: list[Evaluator]) -> Evaluator:
    """Gives #ERROR! if an operand is an error or `compute` fails."""

    def evaluate(record: FormulaRecord) -> Value:
        values = [operand(record) for operand in operands]
        if any(value is ERROR for value in values):
            return ERROR
        try:
            return compute(*values)
        except (NoValue, ArithmeticError, ValueError):
            return ERROR

    return evaluate


def _wrong_argument_count(name: str, given: int) -> Exception:
    if name == "DATETIME_PARSE" and given > 1:
        return unsupported("DATETIME_PARSE with a format")
    return formula_syntax()
