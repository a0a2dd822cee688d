"""What is made from the classes of the mapping file: the JSON Schema for editors, and the table in
docs/reference/mapping.md. `make reference` writes both."""

import json
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from airtable_sync.mapping.file_model import (
    CallersSection,
    FormatSection,
    LinkedSection,
    MappingFile,
    NumbersSection,
    Section,
)

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = Path(__file__).with_name("mapping.schema.json")
DOCUMENT = ROOT / "docs/reference/mapping.md"
BEGIN, END = "<!-- made by `make reference` -->\n", "<!-- end -->\n"


def schema_text() -> str:
    """https://json-schema.org/draft/2020-12. Editors take it from the first line of a mapping."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **MappingFile.model_json_schema(by_alias=True),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def table() -> str:
    """Markdown."""
    rows = [f"| {each.key} | {each.section} | {each.meaning} |" for each in words()]
    return "\n".join(["| key | in | meaning |", "|---|---|---|", *rows]) + "\n"


class Word(NamedTuple):
    """With backticks around what is written in the file."""

    key: str
    section: str
    meaning: str


def words() -> list[Word]:
    """The words of every section, then those of one kind."""
    defaults = MappingFile.model_fields["defaults"].description or ""
    return [
        *_rows(FormatSection, "`[format]`", beside=BaseModel),
        Word("a variable", "`[defaults]`", defaults),
        *_rows(Section, "every section", beside=BaseModel),
        *_rows(NumbersSection, "`[numbers]`", beside=Section),
        *_rows(CallersSection, "`[callers]`", beside=NumbersSection),
        *_rows(LinkedSection, "`[….links.…]`", beside=Section),
    ]


def _rows(section: type[BaseModel], where: str, beside: type[BaseModel]) -> list[Word]:
    """One row for each word that `beside` does not have."""
    fields = section.model_fields.items()
    return [
        Word(f"`{each.alias or name}`", where, each.description or "")
        for name, each in fields
        if name not in beside.model_fields
    ]


def document_with_table(document: str) -> str:
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def main() -> None:
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    document = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(document_with_table(document), encoding="utf-8")


if __name__ == "__main__":
    main()
