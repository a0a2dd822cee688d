"""A whole base in a temporary database makes the same configs as records in memory."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.mapping.join import Join, join
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.load import parse_mapping
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.resolve import resolve
from airtable_sync.mapping.stored_records import StoredRecords

BASE = KnownBase(
    {"Lines": {"Number": None, "Client": None}, "Other": {"Phone": None}, "Clients": {"Name": None}}
)
MAPPING = resolve(
    parse_mapping(
        """
[[numbers]]
table = "Lines"
number_field = "Number"
several_per_cell = true
region = "BE"
[numbers.links.Client]
table = "Clients"
variables = ["Name"]
sort = ["Name"]
many = true
[[numbers]]
table = "Other"
number_field = "Phone"
region = "BE"
""",
        "test.toml",
    ),
    BASE,
)
IDS = st.sampled_from([f"rec{letter}" for letter in "ABCDEF"])
PHONES = st.sampled_from(["0471000001", "0471000002", "0471000003", "no number", "\ud800"])
LINES = {"Number": st.lists(PHONES, max_size=3).map(", ".join), "Client": st.lists(IDS, max_size=3)}
TABLES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "Lines": LINES,
    "Other": {"Phone": PHONES},
    "Clients": {"Name": st.text(max_size=3)},
}


def records(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[Any]]:
    record = st.fixed_dictionaries(
        {
            "id": IDS,
            "createdTime": st.sampled_from(["2026-01-01", "2026-01-02"]),
            "fields": st.fixed_dictionaries({}, optional=fields),
        }
    )
    return st.lists(record, max_size=8)


@given(
    st.fixed_dictionaries({name: records(fields) for name, fields in TABLES.items()}),
    st.sampled_from([0, 1, 1000, 1_000_000]),
)
def test_the_configs_are_the_same_as_of_records_in_memory(
    tables: dict[str, list[Record]], bytes_in_memory: int
) -> None:
    """A record may come twice, changed: then the second one counts."""
    stored = StoredRecords(tables, MAPPING.linked_sources(), bytes_in_memory)
    for source, rows in tables.items():
        stored.add(source, rows[:3])
        stored.add(source, rows[3:])
    by_id = {source: {each["id"]: each for each in rows} for source, rows in tables.items()}
    expected = join(MAPPING, by_id, BASE)
    making = Join(MAPPING, stored, BASE, stored.called_numbers(MAPPING))
    configs = list(making.configs())
    assert [number for number, _ in configs] == sorted(expected.configs)
    assert dict(configs) == expected.configs
    assert making.findings.conflicts == expected.findings.conflicts
    assert making.findings.warnings == expected.findings.warnings
    assert sorted(map(str, making.findings.invalid)) == sorted(map(str, expected.findings.invalid))
    assert stored.counts() == {source: len(rows) for source, rows in by_id.items()}
