"""The mistakes of a text in the admin's editor, each at its line."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.mapping.source import SHIPPED
from airtable_sync.mapping.text_mistakes import text_mistakes
from airtable_sync.status.mapping.highlighting import highlighted

SHIPPED_TEXTS = [file.read_text(encoding="utf-8") for file in sorted(SHIPPED.glob("*.toml"))]
TWO_SECTIONS = """[[numbers]]
table = "Lines"
number_field = "Number"

[[numbers]]
table = "Campaigns"
region = "ZZZ"

[numbers.links."Opening hours"]
tabel = "Hours"
"""
PIECES = [
    "[numbers]",
    "[[numbers]]",
    "[a.'b c']",
    '"',
    "'''",
    "x = ",
    "\\",
    "\n",
    "#",
    "=",
    "é",
    "1",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5)).map("".join)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("[numbers]\ntabel = 'x'\nnumber_field = 'y'\n", [1, 2]),
        ("[numbers]\ntable = 'x'\nnumber_field = 3\n", [3]),
        ("[numbers]\ntable = \n", [2]),
        ("[numbers]\ntable = 'x'\nnumber_field = 'y'\nvariables = [\n  'a',\n", [5]),
        (TWO_SECTIONS, [5, 7, 9, 10]),
        ("", [None]),
        (f"# {'x' * 1_000_000}", [None]),
    ],
)
def test_each_mistake_has_its_line(text: str, lines: list[int | None]) -> None:
    assert [each.line for each in text_mistakes(text)] == lines


@pytest.mark.parametrize("text", SHIPPED_TEXTS)
def test_a_shipped_mapping_has_no_mistakes(text: str) -> None:
    assert text_mistakes(text) == []
    assert text_mistakes(text.replace("\n", "\r\n")) == []


@given(TEXTS)
def test_no_text_breaks_the_editor(text: str) -> None:
    count = len(text.splitlines())
    assert all(each.line is None or 0 <= each.line <= count + 1 for each in text_mistakes(text))
    plain = [unescape(re.sub(r"</?span[^>]*>", "", line)) for line in highlighted(text)]
    assert plain == text.splitlines()
