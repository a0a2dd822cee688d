"""The texts of the project, and the blocks of code in them."""

import re
import textwrap

from tests.support.servers.server import ROOT

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *(each for each in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in each.parts),
]
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.S | re.M)


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in this language, without the indentation of a list."""
    found = [textwrap.dedent(each[3]) for each in _BLOCK.finditer(text) if each[2] == language]
    assert len(found) == len(re.findall(rf"^ *```{language}\n", text, re.M))
    return found
