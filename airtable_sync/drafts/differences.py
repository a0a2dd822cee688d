"""The difference between two texts of a mapping."""

import difflib
from typing import NamedTuple

MAX_LINES = 2000


class Line(NamedTuple):
    kind: str  # "added", "removed", "same", or "gap" between two places
    text: str


def difference(before: str, after: str) -> list[Line]:
    """The changed lines, each with two lines around it."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=2, lineterm="")
    kinds = {"+": "added", "-": "removed", " ": "same", "@": "gap"}
    found = [Line(kinds[line[0]], "…" if line[0] == "@" else line[1:]) for line in lines]
    return found[2 : 2 + MAX_LINES]  # the first two name the files


def changed_lines(before: str, after: str) -> tuple[int, int]:
    """How many lines were added, and how many removed."""
    kinds = [each.kind for each in difference(before, after)]
    return kinds.count("added"), kinds.count("removed")
