"""What `make reference` makes is current, and right."""

import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from airtable_sync.mapping import reference
from airtable_sync.mapping.file_model import MappingFile
from sandbox.airtable.sample.agency import AGENCY_MAPPING

SCHEMA = Draft202012Validator(MappingFile.model_json_schema())
SHIPPED = [*sorted(Path("airtable_sync/mapping/shipped").glob("*.toml")), AGENCY_MAPPING]


def test_the_schema_and_the_table_are_those_of_the_code() -> None:
    """If not: `make reference`."""
    assert reference.SCHEMA.read_text(encoding="utf-8") == reference.schema_text()
    document = reference.DOCUMENT.read_text(encoding="utf-8")
    assert document == reference.document_with_table(document)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_mappings_name_the_schema_and_are_valid_by_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first = text.splitlines()[0].removeprefix("#:schema ")
    assert (path.parent / first).resolve() == reference.SCHEMA
    assert [error.message for error in SCHEMA.iter_errors(tomllib.loads(text))] == []


def test_the_schema_finds_mistakes() -> None:
    wrong = tomllib.loads("[numbers]\ntable = 5\ntabel = 't'\n[format]\nnames = 5\n[x]\n")
    assert len(list(SCHEMA.iter_errors(wrong))) == 3  # in numbers, in format, and x
