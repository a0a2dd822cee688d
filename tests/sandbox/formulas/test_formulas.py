"""Formulas select among Alice, Bob and Charlie. pyairtable builds most of the formulas."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyairtable import Table as TableClient
from pyairtable import formulas as f
from pyairtable.formulas import EQ, GT, LTE, NE, Field, match

from sandbox.airtable.data.tables import Table
from tests.sandbox.conftest import PEOPLE, HttpClient, names

NAME, AGE, PHONE = Field("Name"), Field("Age"), Field("Phone")
PATH = f"/v0/{PEOPLE}/People"
EVERYONE = ["Alice", "Bob O'Brien", "Charlie"]


def found(client: TableClient, formula: Any) -> list[str]:
    return names(client.all(formula=formula))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (match({"Name": "Bob O'Brien"}), ["Bob O'Brien"]),
        (match({"Name": "Alice", "Age": 34}), ["Alice"]),
        (match({"Name": "Alice", "Age": 9}, match_any=True), ["Alice", "Bob O'Brien"]),
        (match({"Age": (">=", 9)}), ["Alice", "Bob O'Brien"]),
        (match({"Active": True}), ["Alice"]),
        (match({"Active": False}), ["Bob O'Brien", "Charlie"]),
        (match({"Plan": "Gold"}), ["Alice"]),
        (match({"Born": date(1990, 5, 17)}), ["Alice"]),
        (match({"Name": "alice"}), []),
        (GT(AGE, 9), ["Alice"]),
        (LTE(AGE, 9), ["Bob O'Brien", "Charlie"]),
        (NE(NAME, "Alice"), ["Bob O'Brien", "Charlie"]),
        (~EQ(NAME, "Alice") & GT(AGE, 1), ["Bob O'Brien"]),
        (EQ(NAME, "Alice") | EQ(NAME, "Charlie"), ["Alice", "Charlie"]),
        (EQ(NAME, "Alice") ^ GT(AGE, 1), ["Bob O'Brien"]),
        (EQ(AGE, f.BLANK()), ["Charlie"]),
        (EQ(PHONE, ""), ["Bob O'Brien", "Charlie"]),
        (f.IF(EQ(AGE, 34), f.TRUE(), f.FALSE()), ["Alice"]),
        (EQ(f.CONCATENATE(NAME, "/", AGE), "Alice/34"), ["Alice"]),
        (EQ(f.REGEX_REPLACE(f.CONCATENATE(PHONE, ""), "[^0-9]+", ""), "4155552671"), ["Alice"]),
        (f.REGEX_MATCH(NAME, "^[AB]"), ["Alice", "Bob O'Brien"]),
        (EQ(f.REGEX_EXTRACT(NAME, "O.(.*)"), "Brien"), ["Bob O'Brien"]),
        (EQ(f.REGEX_REPLACE(NAME, "(A)(l)", "$2$1"), "lAice"), ["Alice"]),
        (EQ(f.SUBSTITUTE(NAME, "l", "L"), "ALice"), ["Alice"]),
        (EQ(f.SUBSTITUTE(NAME, "B", "b", 2), "Bob O'brien"), ["Bob O'Brien"]),
        (EQ(f.RIGHT(NAME, 3), "ice"), ["Alice"]),
        (EQ(f.LEFT(NAME, 2), "Ch"), ["Charlie"]),
        (EQ(f.MID(NAME, 2, 3), "lic"), ["Alice"]),
        (EQ(f.LEN(NAME), 7), ["Charlie"]),
        (EQ(f.LOWER(f.TRIM(" ALICE ")), f.LOWER(NAME)), ["Alice"]),
        (f.FIND("li", NAME), ["Alice", "Charlie"]),
        (EQ(f.FIND("zz", NAME), 0), EVERYONE),
        (f.SEARCH("li", NAME, 3), ["Charlie"]),
        (EQ(f.MOD(AGE, 10), 4), ["Alice"]),
        (EQ(f.SWITCH(f.Formula("{Age}"), 9, "child", "adult"), "child"), ["Bob O'Brien"]),
        (f.ISERROR(f.Formula("{Name} * 2")), EVERYONE),
        (f.IS_BEFORE(Field("Born"), f.NOW()), ["Alice"]),
        (f.IS_AFTER(f.DATEADD(Field("Born"), 50, "years"), f.TODAY()), ["Alice"]),
        (f.IS_SAME(Field("Born"), f.DATETIME_PARSE("1990-05-17T11:00:00Z"), "day"), ["Alice"]),
        (f.IS_BEFORE(f.CREATED_TIME(), f.DATEADD(f.NOW(), 1, "hours")), EVERYONE),
        (EQ(f.DATESTR(Field("Born")), "1990-05-17"), ["Alice"]),
        (GT(f.DATETIME_DIFF(f.NOW(), Field("Born"), "days"), 365), ["Alice"]),
    ],
    ids=str,
)
def test_pyairtable_formulas_find(formula: Any, expected: list[str], client: TableClient) -> None:
    assert found(client, formula) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Name = 'Alice'", ["Alice"]),
        ('{Name} = "Alice"', ["Alice"]),
        ("name = 'Alice' ", None),
        ("if(Age=34,1,0)", ["Alice"]),
        ("'a'&'b'='ab'", EVERYONE),
        ("1+2*3=7", EVERYONE),
        ("(1+2)*3=9", EVERYONE),
        ("10-4-3=3", EVERYONE),
        ("-2+3=1", EVERYONE),
        ("1+1&'x'='2x'", EVERYONE),
        ("2<10", EVERYONE),
        ("'2'<'10'", []),
        ("5='5'", []),
        ("0.1+0.2!=0.4", EVERYONE),
        ("1.0&''='1'", EVERYONE),
        ("'it\\'s'=\"it's\"", EVERYONE),
        ("'a\\\\'='a'", []),
        ("LEN('a\\\\')=2", EVERYONE),
        ("{Friends}='Alice'", ["Bob O'Brien"]),
        ("{Friends}='Alice, Bob O\\'Brien'", ["Charlie"]),
        ("FIND('Alice', ARRAYJOIN({Friends}))", ["Bob O'Brien", "Charlie"]),
        ("FIND('rec', ARRAYJOIN({Friends}))", []),
        ("AND({Friends})", ["Bob O'Brien", "Charlie"]),
        ("LAST_MODIFIED_TIME()", []),
        ("REGEX_MATCH('\u00a0', '\\s')", []),
        ("REGEX_MATCH('\u0663', '\\d')", []),
        ("REGEX_MATCH('aa', '(a)\\1')", []),
    ],
)
def test_formulas_written_by_hand_find(
    formula: str, expected: list[str] | None, client: TableClient, http: HttpClient
) -> None:
    if expected is None:
        assert http.get(PATH, params={"filterByFormula": formula}).status_code == 422
    else:
        assert found(client, formula) == expected


@pytest.mark.parametrize(
    "formula", ["0", "''", "FALSE()", "BLANK()", "0/0", "ERROR()", "{Name}+1=2", "1/0*0", "NOT(1)"]
)
def test_a_false_formula_selects_no_record(formula: str, client: TableClient) -> None:
    assert found(client, formula) == []


@pytest.mark.parametrize("formula", ["1", "-1", "'0'", "TRUE()", "NOT('')", "NOW()", "1/0"])
def test_a_true_formula_selects_every_record(formula: str, client: TableClient) -> None:
    assert found(client, formula) == EVERYONE


def test_fields_can_be_named_by_id(client: TableClient, people: Table) -> None:
    phone = people.field("Phone").id
    assert found(client, f"{{{phone}}} != ''") == ["Alice"]
    assert found(client, f"{phone} != ''") == ["Alice"]


def test_a_field_name_can_contain_an_escaped_brace(client: TableClient, people: Table) -> None:
    people.rename_field("Age", "Age {in years}")
    assert found(client, GT(Field("Age {in years}"), 30)) == ["Alice"]


def test_records_are_found_by_id(client: TableClient, people: Table) -> None:
    ids = list(people.records)
    wanted = f.OR(EQ(f.RECORD_ID(), ids[0]), EQ(f.RECORD_ID(), ids[2]))
    assert found(client, wanted) == ["Alice", "Charlie"]


def test_records_are_found_by_modification_time(client: TableClient, people: Table) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    people.update(next(iter(people.records)), {"Age": 35})
    edited = f.IS_AFTER(f.LAST_MODIFIED_TIME(), before)
    assert found(client, edited) == ["Alice"]
    assert found(client, f.IS_AFTER(f.LAST_MODIFIED_TIME(AGE), before)) == ["Alice"]
    assert found(client, f.IS_AFTER(f.LAST_MODIFIED_TIME(NAME), before)) == []


@pytest.mark.parametrize(
    ("formula", "detail"),
    [
        ("{Fone}='1'", "Unknown field names: fone"),
        ("AND({Fone}, Mail, {Fone})", "Unknown field names: fone, mail"),
        ("LAST_MODIFIED_TIME({Fone})", "Unknown field names: fone"),
        ("FROBNICATE(1)", "Unknown function names: frobnicate"),
        ("{Name", "Invalid formula. Please check your formula text."),
        ("'open", "Invalid formula. Please check your formula text."),
        ("AND(1,)", "Invalid formula. Please check your formula text."),
        ("1 2", "Invalid formula. Please check your formula text."),
        ("=1", "Invalid formula. Please check your formula text."),
        ("LEFT('a')", "Invalid formula. Please check your formula text."),
        ("RECORD_ID(1)", "Invalid formula. Please check your formula text."),
        ("“Alice”", "Invalid formula. Please check your formula text."),
        ("(" * 5000 + "1" + ")" * 5000, "Invalid formula. Please check your formula text."),
    ],
)
def test_a_wrong_formula_is_rejected(formula: str, detail: str, http: HttpClient) -> None:
    response = http.post(f"{PATH}/listRecords", json={"filterByFormula": formula})
    assert response.status_code == 422
    assert response.json()["error"] == {
        "type": "INVALID_FILTER_BY_FORMULA",
        "message": f"The formula for filtering records is invalid: {detail}",
    }


@pytest.mark.parametrize("formula", ["WEEKDAY(NOW())", "DATETIME_PARSE('1', 'D')"])
def test_a_function_that_only_airtable_supports_gives_501(formula: str, http: HttpClient) -> None:
    response = http.get(PATH, params={"filterByFormula": formula})
    assert (response.status_code, response.json()["error"]["type"]) == (
        501,
        "SANDBOX_NOT_IMPLEMENTED",
    )
