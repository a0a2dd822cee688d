"""The word `item`: one text for each record, with fields in braces: `{Day}: {From} to {To}`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_PART = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


@dataclass(frozen=True)
class ItemText:
    """`literals` stand around the fields: there is one more of them."""

    literals: tuple[str, ...]
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "ItemText":
        """`{{` and `}}` are braces. Raises ValueError."""
        literals, fields, end = [""], [], 0
        for part in _PART.finditer(text):
            literals[-1] += text[end : part.start()]
            end = part.end()
            if part[1]:
                fields.append(part[1].strip())
                literals.append("")
            elif part[0] in ("{{", "}}"):
                literals[-1] += part[0][0]
            else:
                raise ValueError(
                    f"has a brace without its partner at character {part.start() + 1}; a field is "
                    "written {Name}, a brace {{"
                )
        literals[-1] += text[end:]
        if not fields:
            raise ValueError('names no field: write one in braces, such as "{Day}"')
        return cls(tuple(literals), tuple(fields))

    def text(self, value_of: Callable[[str], str]) -> str:
        """ "" if every field is empty."""
        values = [value_of(field) for field in self.fields]
        return self._joined(values) if any(values) else ""

    def _joined(self, values: Iterable[str]) -> str:
        pieces = [self.literals[0]]
        for value, literal in zip(values, self.literals[1:], strict=True):
            pieces += [value, literal]
        return "".join(pieces).strip()
