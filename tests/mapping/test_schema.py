"""The mapping file: its content, and the messages about mistakes in it."""

from pathlib import Path

import pytest

from airtable_sync.mapping.schema import Mapping, MappingError, load_mapping

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
    assert mapping.wanted_fields("twilio_number") == ["twilio_number", "client"]
    assert mapping.wanted_fields("dynamic_variables") is None


def test_the_flat_layout_has_one_table() -> None:
    mapping = load_mapping(str(SHIPPED / "flat.toml"))
    assert mapping.tables() == ["customers"]
    known = ["to_number", "customer_name", "preferred_agent_id"]
    assert mapping.variable_fields(mapping.root, known) == ["customer_name"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "numbers is missing in the file"),
        ("[numbers", "is not valid TOML"),
        ("numbers = 5", "numbers in the file must be a section"),
        ("[numbers]\ntable = 't'", r"number_field is missing in \[numbers\]"),
        ("[numbers]\nnumber_field = 'n'", r"table is missing in \[numbers\]"),
        ("[numbers]\ntable = 5\nnumber_field = 'n'", r"table in \[numbers\] must be a text"),
        ("[numbers]\ntable = ''\nnumber_field = 'n'", r"table in \[numbers\] must be a text"),
        ("[numbers]\ntable='t'\nnumber_field='n'\nregion='XX'", "is not a country code"),
        ("[numbers]\ntable='t'\nnumber_field='n'\nvariables='all'", "variables in"),
        ("[numbers]\ntable='t'\nnumber_field='n'\nexcept=[5]", "must be a list of field names"),
        ("[numbers]\ntable='t'\nnumber_field='n'\ntabel='t'", "tabel in .* is not a known word"),
        (
            "[numbers]\ntable='t'\nnumber_field='n'\nlinks.c=5",
            r"\[numbers.links.c\] must be a section",
        ),
        ("[numbers]\ntable='t'\nnumber_field='n'\n[numbers.links.c]\nmany=1", "many in|table is"),
    ],
)
def test_the_message_names_a_mistake_and_its_section(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(MappingError, match=message):
        load_text(tmp_path, text)


def test_the_message_names_a_file_that_does_not_exist() -> None:
    with pytest.raises(MappingError, match=r"nowhere\.toml can't be read: No such file"):
        load_mapping("nowhere.toml")
