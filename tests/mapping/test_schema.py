"""The mapping file: its content, and the messages about mistakes in it."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airtable_sync.mapping.file_model import MappingFile
from airtable_sync.mapping.load import load_mapping
from airtable_sync.mapping.mistakes import mistakes
from airtable_sync.mapping.schema import Mapping, MappingError, Source

NAMES = st.sampled_from(["table", "number_field", "variables", "except", "links", "a b", ""])
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
CONTENT = st.dictionaries(
    NAMES,
    st.recursive(JSON, lambda each: st.lists(each) | st.dictionaries(NAMES, each), max_leaves=8),
)
SHIPPED = Path("airtable_sync/mapping/shipped")


def load_text(tmp_path: Path, text: str) -> Mapping:
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(str(path))


def test_the_linked_layout_has_four_tables_and_names_each_once() -> None:
    mapping = load_mapping(str(SHIPPED / "siftly.toml"))
    tables = ["twilio_number", "client", "dynamic_variables", "language_agent_names"]
    assert mapping.tables() == tables
    assert mapping.region == "BE"
    assert mapping.wanted_fields(Source("twilio_number")) == ["twilio_number", "client"]
    assert mapping.wanted_fields(Source("dynamic_variables")) is None


def test_the_flat_layout_has_one_table() -> None:
    mapping = load_mapping(str(SHIPPED / "flat.toml"))
    assert mapping.tables() == ["customers"]
    known = dict.fromkeys(["to_number", "customer_name", "preferred_agent_id"])
    assert mapping.roots[0].fields_of_variables(known) == [("customer_name", "")]


NUMBERS = "[numbers]\ntable = 't'\nnumber_field = 'n'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "[numbers]: is missing."),
        ("numbers = 5", "[numbers]: must be a section."),
        ("[number]\ntable = 't'", "number: is not a known word (did you mean numbers?)."),
        ("[numbers]\ntable = 't'", "[numbers] number_field: is missing."),
        ("[numbers]\nnumber_field = 'n'", "[numbers] table: is missing."),
        ("[numbers]\ntable = 5\nnumber_field = 'n'", "table: must be a text in quotes."),
        ("[numbers]\ntable = ''\nnumber_field = 'n'", "[numbers] table: must not be empty."),
        (f"{NUMBERS}region = 'XX'", "[numbers] region: is not a country code of two letters"),
        (
            f"{NUMBERS}variables = 'all'",
            '[numbers] variables: must be "*", a list of field names, or { variable = "Field" }.',
        ),
        (
            f"{NUMBERS}variables = [1]",
            '[numbers] variables: must be "*", a list of field names, or { variable = "Field" }.',
        ),
        (f"{NUMBERS}except = [5]", "[numbers] except: must be a list of field names."),
        (f"{NUMBERS}except = 'a'", "[numbers] except: must be a list of field names."),
        (f"{NUMBERS}tabel = 't'", "[numbers] tabel: is not a known word (did you mean table?)."),
        (f"{NUMBERS}many = true", "[numbers] many: is not a known word"),
        (
            f"{NUMBERS}zzz = 1",
            "(known words: except, filter, item, key_field, links,",
        ),
        (f"{NUMBERS}links = 5", "[numbers] links: must be a section."),
        (f"{NUMBERS}links.c = 5", "[numbers.links.c]: must be a section."),
        (
            f'{NUMBERS}[numbers.links."Opening hours"]\ntable = "h"\nmany = 1',
            '[numbers.links."Opening hours"] many: must be true or false.',
        ),
        (
            f"{NUMBERS}[numbers.links.a]\ntable='a'\n[numbers.links.a.links.b]\nregion='BE'",
            "[numbers.links.a.links.b] region: is not a known word",
        ),
    ],
)
def test_the_message_names_a_mistake_and_its_section(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(MappingError) as caught:
        load_text(tmp_path, text)
    assert message in str(caught.value)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as caught:
        load_text(tmp_path, "[numbers]\ntabel='t'\nregion='XX'\n[numbers.links.a]\nmany=1\n[x]\n")
    named = str(caught.value).partition("mapping.toml: ")[2]
    assert named == (
        "[numbers] table: is missing. "
        "[numbers.links.a] table: is missing. "
        "[numbers.links.a] many: must be true or false. "
        '[numbers] region: is not a country code of two letters, such as "BE". '
        "[numbers] tabel: is not a known word (did you mean table?). "
        "[numbers] number_field: is missing. "
        "x: is not a known word (known words: callers, defaults, format, numbers)."
    )


def test_a_hundred_mistakes_are_a_message_of_twenty(tmp_path: Path) -> None:
    words = "".join(f"word_{index} = 1\n" for index in range(100))
    with pytest.raises(MappingError, match=r"There are 80 more mistakes\.$"):
        load_text(tmp_path, NUMBERS + words)


@pytest.mark.usefixtures("without_garbage_collection")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[numbers", "is not valid TOML: Expected ']'"),
        (b"\xff\xfe[numbers]", "is not UTF-8: save it as UTF-8 text."),
        (b"a" * 1_000_001, "is too large: a mapping has at most a megabyte."),
        (b"x = " + b"[" * 5000, "is not valid TOML"),
    ],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_bytes(content)
    with pytest.raises(MappingError) as caught:
        load_mapping(str(path))
    assert message in str(caught.value)


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="can't be read: Is a directory"):
        load_mapping(str(tmp_path))


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert load_text(tmp_path, f"\ufeff{NUMBERS}").roots[0].number_fields == ("n",)


@given(CONTENT)
def test_any_content_is_a_mapping_or_has_mistakes(content: dict[str, Any]) -> None:
    with suppress(ValidationError):
        MappingFile.model_validate({"numbers": content})
        return
    with pytest.raises(ValidationError) as caught:
        MappingFile.model_validate({"numbers": content})
    found = mistakes(caught.value)
    assert found
    assert all(each.endswith(".") for each in found)


def test_the_message_names_a_file_that_does_not_exist() -> None:
    with pytest.raises(MappingError, match=r"nowhere\.toml can't be read: No such file"):
        load_mapping("nowhere.toml")
