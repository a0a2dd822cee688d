"""The mapping file: what it may say, and what is said about mistakes in it."""

from pathlib import Path

import pytest

from airtable_sync.mapping.schema import Mapping, MappingError, load

SHIPPED = Path("airtable_sync/mapping/shipped")


def load_text(tmp_path: Path, text: str) -> Mapping:
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    load.cache_clear()
    return load(str(path))


def test_the_linked_layout_reads_each_of_its_four_tables_once() -> None:
    mapping = load(str(SHIPPED / "siftly.toml"))
    tables = ["twilio_number", "client", "dynamic_variables", "language_agent_names"]
    assert mapping.tables() == tables
    assert mapping.region == "BE"
    assert mapping.wanted_fields("twilio_number") == ["twilio_number", "client"]
    assert mapping.wanted_fields("dynamic_variables") is None


def test_the_flat_layout_reads_one_table() -> None:
    mapping = load(str(SHIPPED / "flat.toml"))
    assert mapping.tables() == ["customers"]
    known = ["to_number", "customer_name", "preferred_agent_id"]
    assert mapping.variable_fields(mapping.root, known) == ["customer_name"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "numbers is missing in the file"),
        ("[numbers", "is no TOML"),
        ("numbers = 5", "numbers in the file must be a section"),
        ("[numbers]\ntable = 't'", r"number_field is missing in \[numbers\]"),
        ("[numbers]\nnumber_field = 'n'", r"table is missing in \[numbers\]"),
        ("[numbers]\ntable = 5\nnumber_field = 'n'", r"table in \[numbers\] must be a text"),
        ("[numbers]\ntable = ''\nnumber_field = 'n'", r"table in \[numbers\] must be a text"),
        ("[numbers]\ntable='t'\nnumber_field='n'\nregion='XX'", "no country code"),
        ("[numbers]\ntable='t'\nnumber_field='n'\nvariables='all'", "variables in"),
        ("[numbers]\ntable='t'\nnumber_field='n'\nexcept=[5]", "must be a list of field names"),
        ("[numbers]\ntable='t'\nnumber_field='n'\ntabel='t'", "tabel in .* is not known"),
        (
            "[numbers]\ntable='t'\nnumber_field='n'\nlinks.c=5",
            r"\[numbers.links.c\] must be a section",
        ),
        ("[numbers]\ntable='t'\nnumber_field='n'\n[numbers.links.c]\nmany=1", "many in|table is"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(MappingError, match=sentence):
        load_text(tmp_path, text)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(MappingError, match=r"nowhere\.toml can't be read: No such file"):
        load("nowhere.toml")
