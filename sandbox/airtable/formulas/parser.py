"""Parses a formula into a tree.

https://support.airtable.com/docs/formula-field-reference
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from sandbox.airtable.common.errors import formula_syntax

TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<field>\{(?:\\\}|[^}])*\})
    | (?P<operator>!=|<=|>=|[=<>&+\-*/(),])
    | (?P<name>[^\W\d]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPED = {"'": "'", '"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
PRECEDENCE = (("=", "!=", "<", "<=", ">", ">="), ("&",), ("+", "-"), ("*", "/"))
MAX_DEPTH = 60


@dataclass(frozen=True)
class Literal:
    value: str | float | int


@dataclass(frozen=True)
class FieldReference:
    name: str


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True)
class Chain:
    """Operators of the same precedence, evaluated from left to right."""

    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True)
class Negation:
    of: "Node"


Node: TypeAlias = Literal | FieldReference | Call | Chain | Negation


@dataclass(frozen=True)
class Token:
    kind: str
    text: str


END = Token("end", "")


def tokens(formula: str) -> Iterator[Token]:
    position = 0
    while position < len(formula):
        match = TOKEN.match(formula, position)
        if match is None or match.lastgroup is None:
            raise formula_syntax()
        position = match.end()
        if match.lastgroup != "space":
            yield Token(match.lastgroup, match[0])


def parse(formula: str) -> Node:
    parser = Parser(formula)
    node = parser.expression()
    if parser.next is not END:
        raise formula_syntax()
    return node


class Parser:
    """A recursive descent parser. Rejects formulas that are nested deeper than MAX_DEPTH."""

    def __init__(self, formula: str) -> None:
        self._tokens = tokens(formula)
        self._depth = 0
        self.next = next(self._tokens, END)

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise formula_syntax()
        node = self._chain(0)
        self._depth -= 1
        return node

    def _chain(self, level: int) -> Node:
        if level == len(PRECEDENCE):
            return self._signed()
        first = self._chain(level + 1)
        rest = []
        while self.next.kind == "operator" and self.next.text in PRECEDENCE[level]:
            operator = self._take().text
            rest.append((operator, self._chain(level + 1)))
        return Chain(first, tuple(rest)) if rest else first

    def _signed(self) -> Node:
        negative = False
        while self.next.text in ("-", "+") and self.next.kind == "operator":
            negative ^= self._take().text == "-"
        operand = self._operand()
        return Negation(operand) if negative else operand

    def _operand(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return Literal(float(token.text) if not token.text.isdecimal() else _int(token.text))
        if token.kind == "string":
            return Literal(ESCAPE.sub(_unescape, token.text[1:-1]))
        if token.kind == "field":
            return FieldReference(token.text[1:-1].replace(r"\}", "}"))
        if token.kind == "name":
            return self._call(token.text) if self.next.text == "(" else FieldReference(token.text)
        if token.text == "(":
            return self._closed(self.expression())
        raise formula_syntax()

    def _call(self, name: str) -> Node:
        self._take()
        arguments: list[Node] = []
        while self.next.text != ")" or self.next.kind != "operator":
            arguments.append(self.expression())
            if self.next.text != ",":
                break
            self._take()
            if self.next.text == ")":
                raise formula_syntax()
        return self._closed(Call(name.upper(), tuple(arguments)))

    def _closed(self, node: Node) -> Node:
        if self._take() != Token("operator", ")"):
            raise formula_syntax()
        return node

    def _take(self) -> Token:
        token, self.next = self.next, next(self._tokens, END)
        return token


def _int(digits: str) -> int | float:
    """Airtable computes with doubles, which hold integers of up to 15 digits exactly."""
    return int(digits) if len(digits) < 16 else float(digits)


def _unescape(match: re.Match[str]) -> str:
    """Keeps an unknown escape, which a regular expression may need."""
    return ESCAPED.get(match[1], match[0])
