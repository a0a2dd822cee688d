"""Proposals for any base: with any names, and with answers that Airtable should not give."""

import tomllib
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.proposal.base import InspectedBase
from airtable_sync.proposal.candidates import NotProposed
from airtable_sync.proposal.proposal import propose
from airtable_sync.proposal.toml_text import inline_table, key, list_of, quoted
from tests.proposal.bases import PHONE, FakeBase, link, of, record

NAMES = st.text(min_size=1, max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(NAMES, st.lists(NAMES, min_size=3, max_size=8, unique=True), NAMES)
def test_every_name_is_written_so_that_toml_reads_it(
    table: str, names: list[str], linked: str
) -> None:
    number, linking, *variables = names
    fields = [of(number, PHONE), link(linking, "Linked"), *map(of, variables)]
    base = FakeBase().table(table, fields, {"rec1": {number: "+32460234291"}})
    base.table("Linked", [of(linked), of("Photo", "multipleAttachments")])
    schema = [base.schema[0], {**base.schema[1], "name": f"{table}2"}]
    inspected = InspectedBase(schema, lambda name: base.records.get(name, []))
    numbers = tomllib.loads(propose(inspected, table).toml)["numbers"]
    assert (numbers["table"], numbers["number_field"]) == (table, number)
    assert set(numbers.get("rename", {})) <= set(variables)
    assert set(numbers.get("links", {})) <= {linking}
    for section in numbers.get("links", {}).values():
        assert section["table"] == f"{table}2"
        assert section["except"][-1] == "Photo"


@given(st.dictionaries(st.text(), st.text(), min_size=1))
def test_keys_and_texts_round_trip(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert tomllib.loads(f"# {quoted(text)}\n{key(name)} = {quoted(text)}") == {name: text}
    assert tomllib.loads(f"a = {inline_table(texts)}") == {"a": texts}
    assert tomllib.loads(f"a = {list_of(texts)}") == {"a": list(texts)}


def test_a_name_that_toml_cannot_contain_is_replaced_by_the_id() -> None:
    base = FakeBase().table("Lines", [of("Number\ud83d", PHONE)])
    numbers = tomllib.loads(propose(base.inspected()).toml)["numbers"]
    assert numbers["number_field"] == base.schema[0]["fields"][0]["id"]


@given(JSON, st.sampled_from(["tables", "fields", "options", "views", "cells"]))
def test_malformed_parts_are_left_out(part: Any, place: str) -> None:
    base = FakeBase().table("Lines", [of("Number", PHONE), link("Texts", "Texts"), of("Text")])
    base.table("Texts", [of("Text")])
    row = {"Number": "+32460234291", "Texts": part, "Text": part} if place == "cells" else {}
    lines = base.schema[0]
    if place in ("fields", "views"):
        lines[place] = [*lines[place], part]
    elif place == "options":
        for each in lines["fields"]:
            each["options"] = {"result": part, "linkedTableId": part, "choices": part}
    schema: Any = part if place == "tables" else base.schema
    with suppress(NotProposed):
        inspected = InspectedBase(schema, lambda _: [record("rec1", row)])
        tomllib.loads(propose(inspected).toml)
