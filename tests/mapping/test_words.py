"""Each word of the mapping file, on records in memory."""

from typing import Any

import pytest

from airtable_sync.airtable.client import base_tables
from airtable_sync.mapping.join import join
from airtable_sync.mapping.joined import Joined
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.load import parse_mapping
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.resolve import missing_in_base, resolve
from airtable_sync.mapping.sections import Sections

NUMBERS = "[numbers]\ntable = 'Lines'\nnumber_field = 'Number'\nregion = 'BE'\n"
ANNA, BEN = "+32460234291", "+32460234292"


def field(name: str, type_: str = "singleLineText", **options: Any) -> dict[str, Any]:
    return {"id": f"fld{name}", "name": name, "type": type_, "options": options}


def link(name: str, table: str) -> dict[str, Any]:
    return field(name, "multipleRecordLinks", linkedTableId=f"tbl{table}")


DAYS = [{"name": day} for day in ("Monday", "Tuesday", "Wednesday")]
SCHEMA = [
    {
        "id": f"tbl{name}",
        "name": name,
        "primaryFieldId": fields[0]["id"],
        "fields": fields,
        "views": [{"id": f"viw{name}", "name": "Live"}],
    }
    for name, fields in {
        "Lines": [
            field("Number", "phoneNumber"),
            field("Mobile", "phoneNumber"),
            field("Company Name"),
            field("Price", "currency", precision=2, symbol="€"),
            link("Owner", "People"),
            link("Deputy", "People"),
            link("Hours", "Hours"),
            link("Texts", "Texts"),
        ],
        "People": [field("Name"), field("Age", "number", precision=0), link("Team", "Teams")],
        "Hours": [
            field("Slot"),
            field("Day", "singleSelect", choices=DAYS),
            field("From"),
            field("Place"),
        ],
        "Teams": [field("Name")],
        "Texts": [field("Key"), field("Value")],
        "Other": [field("Number", "phoneNumber"), field("Company Name")],
    }.items()
]
TABLES = base_tables(SCHEMA)


def records(**cells_by_id: dict[str, Any]) -> dict[str, Record]:
    return {
        id_: {"id": id_, "createdTime": f"2026-01-{day:02}", "fields": cells}
        for day, (id_, cells) in enumerate(cells_by_id.items(), 1)
    }


def joined(text: str, known: KnownBase | None = None, **tables: dict[str, Record]) -> Joined:
    base = TABLES.known() if known is None else known
    return join(resolve(parse_mapping(text, "test.toml"), base), tables, base)


def variables(text: str, **tables: dict[str, Record]) -> dict[str, str]:
    """Those of the only number."""
    [config] = joined(text, None, **tables).configs.values()
    return config.variables


def line(**cells: Any) -> dict[str, Record]:
    names = {key.replace("_", " "): cell for key, cell in cells.items()}
    return records(rec1={"Number": "0460 23 42 91", **names})


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("variables = ['Company Name']", "Company Name"),
        ("variables = { firm = 'Company Name' }", "firm"),
        ("variables = ['Company Name']\nrename = { 'Company Name' = 'firm' }", "firm"),
        ("variables = ['Company Name']\nprefix = 'line_'", "line_Company Name"),
        ("variables = { firm = 'Company Name' }\nprefix = 'line_'", "line_firm"),
        ("variables = ['fldCompany Name']", "Company Name"),
    ],
)
def test_a_variable_has_the_name_that_the_mapping_gives_it(words: str, name: str) -> None:
    assert variables(NUMBERS + words, Lines=line(Company_Name="Acme")) == {name: "Acme"}


def test_snake_case_is_for_names_that_the_mapping_does_not_give() -> None:
    text = f"[format]\nnames = 'snake_case'\n{NUMBERS}variables = ['Company Name', 'Price']\n"
    text += "rename = { Price = 'Fee' }\nprefix = 'L_'\n"
    found = variables(text, Lines=line(Company_Name="Acme", Price=5))
    assert found == {"L_company_name": "Acme", "L_Fee": "€5.00"}


def test_two_people_of_one_table_have_a_prefix_each() -> None:
    text = f"{NUMBERS}[numbers.links.Owner]\ntable='People'\nvariables=['Name']\nprefix='owner_'\n"
    text += "[numbers.links.Deputy]\ntable='People'\nvariables=['Name']\nprefix='deputy_'\n"
    people = records(recA={"Name": "Ann"}, recB={"Name": "Bob"})
    found = variables(text, Lines=line(Owner=["recB"], Deputy=["recA"]), People=people)
    assert found == {"owner_Name": "Bob", "deputy_Name": "Ann"}


def test_a_link_that_is_a_variable_has_the_names_of_the_linked_records() -> None:
    people = records(recA={"Name": "Ann"}, recB={"Name": "Bob"})
    found = variables(
        f"{NUMBERS}variables = {{ owners = 'Owner' }}",
        Lines=line(Owner=["recB", "recA"]),
        People=people,
    )
    assert found == {"owners": "Bob, Ann"}


def test_only_the_names_of_linked_records_are_requested() -> None:
    mapping = resolve(parse_mapping(f"{NUMBERS}variables = ['Owner']", "x"), TABLES.known())
    sources = mapping.sources()
    assert [mapping.wanted_fields(each) for each in sources.values()] == [
        ["Number", "Owner"],
        ["Name"],
    ]


def test_under_a_star_links_are_left_out_and_named_once() -> None:
    lines = {
        **line(Company_Name="Acme", Owner=["recA"], Texts=["recT"]),
        **records(rec2={"Number": "0460 23 42 92", "Owner": ["recA"]}),
    }
    found = joined(f"{NUMBERS}variables = '*'\n[numbers.links.Texts]\ntable='Texts'\n", Lines=lines)
    assert [sorted(each.variables) for each in found.configs.values()] == [
        ["Company Name", "Mobile", "Price"]
    ] * 2
    assert found.findings.warnings[0].startswith(
        "[numbers] links are no variables, and are left out: Owner, Deputy, Hours."
    )
    assert sum(each.startswith("[numbers]") for each in found.findings.warnings) == 1


def test_without_a_schema_a_star_leaves_out_what_shows_record_ids() -> None:
    row = line(Company_Name="Acme", Owner=["recAAAAAAAAAAAAAA"], Price=29.990000000000002)
    found = joined(f"{NUMBERS}variables = '*'", KnownBase(), Lines=row)
    assert found.configs[ANNA].variables == {"Company Name": "Acme", "Price": "29.99"}


HOURS = records(
    recW={"Day": "Wednesday", "From": "9:00"},
    recM2={"Day": "Monday", "From": "13:00"},
    recM={"Day": "Monday", "From": "08:00"},
    recE={},
)
ALL_HOURS = ["recW", "recM2", "recM", "recE"]


def hours(words: str) -> dict[str, str]:
    text = f"{NUMBERS}[numbers.links.Hours]\ntable='Hours'\nmany=true\n{words}"
    return variables(text, Lines=line(Hours=ALL_HOURS), Hours=HOURS)


def test_an_item_is_one_text_for_each_record_joined_and_sorted() -> None:
    words = "sort=['Day','From']\nseparator='; '\nitem='{Day} from {From}'\nvariable='open'\n"
    assert hours(words) == {
        "open": "Monday from 08:00; Monday from 13:00; Wednesday from 9:00",
    }


def test_without_an_item_each_field_has_the_values_of_all_records() -> None:
    assert hours("variables=['Day']\nseparator=' / '") == {"Day": "Wednesday / Monday / Monday"}


def test_two_braces_are_one() -> None:
    assert hours("sort=['Day']\nitem='{{{From}}}'\nvariable='v'")["v"] == "{13:00}, {08:00}, {9:00}"


def test_the_first_of_the_sorted_records_is_used_without_many() -> None:
    text = f"{NUMBERS}[numbers.links.Hours]\ntable='Hours'\nsort=['Day']\nvariables=['From']"
    assert variables(text, Lines=line(Hours=["recW", "recM"]), Hours=HOURS) == {"From": "08:00"}


def test_numbers_are_sorted_as_numbers() -> None:
    people = records(recA={"Name": "Ann", "Age": 100}, recB={"Name": "Bob", "Age": 9})
    text = f"{NUMBERS}[numbers.links.Owner]\ntable='People'\nmany=true\nsort=['Age']\n"
    text += "variables=['Name']"
    found = variables(text, Lines=line(Owner=["recA", "recB"]), People=people)
    assert found == {"Name": "Bob, Ann"}


def test_a_key_and_a_value_are_a_variable() -> None:
    text = f"[format]\nnames='snake_case'\n{NUMBERS}[numbers.links.Texts]\ntable='Texts'\n"
    text += "many=true\nkey_field='Key'\nvalue_field='Value'"
    texts = records(
        rec1={"Key": "Opening line", "Value": "Hello"},
        rec2={"Value": "no key"},
        rec3={"Key": "Empty"},
    )
    found = variables(text, Lines=line(Texts=["rec1", "rec2", "rec3"]), Texts=texts)
    assert found == {"opening_line": "Hello", "empty": ""}


def test_defaults_stand_in_for_what_is_missing_or_empty() -> None:
    text = f"[defaults]\n'Company Name'='a customer'\nmood='good'\n{NUMBERS}variables='*'"
    found = variables(text, Lines=line(Price=1))
    assert (found["Company Name"], found["mood"], found["Mobile"]) == ("a customer", "good", "")
    base = TABLES.known()
    blank = Sections(resolve(parse_mapping(text, "x"), base), base).blank_variables()
    assert blank == {"Company Name": "a customer", "mood": "good", "Mobile": "", "Price": ""}


@pytest.mark.parametrize(
    ("words", "cells", "expected"),
    [
        ("number_fields=['Number','Mobile']", {"Mobile": "0460234292"}, [ANNA, BEN]),
        ("number_fields=['Number','Mobile']", {"Mobile": "0460234291"}, [ANNA]),
        (
            "number_field='Number'\nseveral_per_cell=true",
            {"Number": "0460234291; 0460234292"},
            [ANNA, BEN],
        ),
        (
            "number_field='Number'\nseveral_per_cell=true",
            {"Number": ["0460234291", "0460234292\n"]},
            [ANNA, BEN],
        ),
    ],
)
def test_a_record_may_have_several_called_numbers(
    words: str, cells: dict[str, Any], expected: list[str]
) -> None:
    text = f"[numbers]\ntable='Lines'\nregion='BE'\nvariables=['Company Name']\n{words}"
    found = joined(text, Lines=line(Company_Name="Acme", **cells))
    assert list(found.configs) == expected
    assert not found.findings.conflicts
    assert {config.variables["Company Name"] for config in found.configs.values()} == {"Acme"}


def test_of_several_numbers_in_a_cell_the_wrong_ones_are_reported() -> None:
    text = f"{NUMBERS}several_per_cell=true\nvariables=['Company Name']"
    found = joined(text, Lines=line(Number="0460234291, tomorrow"))
    assert list(found.configs) == [ANNA]
    [invalid] = found.findings.invalid
    assert str(invalid) == "Lines/rec1: ' tomorrow' in Number is not a telephone number."


TWO_TABLES = """
[[numbers]]
table = "Lines"
number_field = "Number"
region = "BE"
variables = ["Company Name"]
[[numbers]]
table = "Other"
number_field = "Number"
region = "BE"
variables = ["Company Name"]
"""


def test_the_first_section_of_called_numbers_wins_and_the_conflict_is_reported() -> None:
    other = records(
        recO={"Number": "0460234291", "Company Name": "Other"},
        recP={"Number": "0460234292", "Company Name": "Only here"},
    )
    found = joined(TWO_TABLES, Lines=line(Company_Name="Acme"), Other=other)
    assert [each.variables["Company Name"] for each in found.configs.values()] == [
        "Acme",
        "Only here",
    ]
    assert [each.records for each in found.findings.conflicts] == [("Lines/rec1", "Other/recO")]
    assert not found.findings.warnings


def test_two_fields_whose_names_become_equal_are_reported_once() -> None:
    text = f"[format]\nnames='snake_case'\n{NUMBERS}variables=['Company Name', 'Mobile']\n"
    text += "rename={ Mobile = 'company_name' }"
    found = joined(text, Lines=line(Company_Name="Acme", Mobile="1"))
    assert found.configs[ANNA].variables == {"company_name": "Acme"}
    [warning] = found.findings.warnings
    assert warning.startswith("The variable company_name is set by Company Name of [numbers], ")


def test_a_variable_of_two_sections_is_reported_once_and_the_first_wins() -> None:
    text = f"{NUMBERS}variables={{ Name = 'Company Name' }}\n"
    text += "[numbers.links.Owner]\ntable='People'\nvariables=['Name']"
    lines = {
        **line(Company_Name="Acme", Owner=["recA"]),
        **records(rec2={"Number": "0460 23 42 92", "Company Name": "Beta", "Owner": ["recA"]}),
    }
    found = joined(text, Lines=lines, People=records(recA={"Name": "Ann"}))
    assert [each.variables for each in found.configs.values()] == [
        {"Name": "Acme"},
        {"Name": "Beta"},
    ]
    assert found.findings.warnings == [
        (
            "The variable Name is set by Company Name of [numbers], which is used, and again by "
            "Name of [numbers.links.Owner]: rename one of them, or give a prefix."
        )
    ]


@pytest.mark.parametrize(
    ("words", "clause"),
    [
        ("variables=['Nam']", "Lines has no field Nam"),
        ("view='Lively'", "Lines has no view Lively"),
        ("settings={ agent_id = 'Agent' }", "Lines has no field Agent"),
        ("[numbers.links.Price]\ntable='People'", "Lines.Price is no link to other records"),
        ("[numbers.links.Owner]\ntable='Hours'", "Lines.Owner links to People, not to Hours"),
        ("[numbers.links.Hours]\ntable='Hours'\nitem='{Dai}'\nvariable='v'", "no field Dai"),
        ("[numbers.links.Hours]\ntable='Hourz'", "there is no table Hourz"),
    ],
)
def test_what_the_base_does_not_have_is_named(words: str, clause: str) -> None:
    [found] = missing_in_base(parse_mapping(NUMBERS + words, "x"), TABLES)[:1]
    assert clause in found


@pytest.mark.parametrize(
    "words", ["view='Live'", "view='viwLines'", "settings=['agent_id']", "variables=['fldPrice']"]
)
def test_names_ids_and_fields_that_may_lack_fit_the_base(words: str) -> None:
    assert missing_in_base(parse_mapping(NUMBERS + words, "x"), TABLES) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1}', ""),
        ("nonsense", "is not JSON"),
        ('{"a": NaN}', "is not JSON"),
        ("[1]", "is not a JSON object"),
        ("7", "is not a JSON object"),
        ('{"a": ' * 60 + "1" + "}" * 60, "is nested too deeply"),
    ],
)
def test_a_setting_that_has_to_be_a_json_object_is_validated(text: str, problem: str) -> None:
    mapping = f'{NUMBERS}settings = {{ assistant = "Company Name" }}'
    found = joined(mapping, Lines=line(Company_Name=text))
    [config] = found.configs.values()
    assert config.settings == ({} if problem else {"assistant": text})
    sentence = f"Lines/rec1: Company Name {problem} and is left out."
    assert config.warnings == ([sentence] if problem else [])
