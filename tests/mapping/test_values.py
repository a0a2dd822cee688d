"""Cells as the text that people see in Airtable, for every type of field."""

from typing import Any

import pytest

from airtable_sync.mapping.field_types import FieldType
from airtable_sync.mapping.formatting import Formatter, problem_of, text_of
from airtable_sync.mapping.text_format import TextFormat

BRUSSELS = "Europe/Brussels"
LOCALES = [None, "nl-BE", "en-US", "de-DE"]

# https://airtable.com/developers/web/api/field-model
TYPE_NAMES = """
    aiText autoNumber barcode button checkbox count createdBy createdTime currency date dateTime
    duration email externalSyncSource formula lastModifiedBy lastModifiedTime lookup manualSort
    multilineText multipleAttachments multipleCollaborators multipleLookupValues multipleRecordLinks
    multipleSelects number percent phoneNumber rating richText rollup singleCollaborator
    singleLineText singleSelect url
"""
AIRTABLES_TYPES = TYPE_NAMES.split()

TIME = "2026-11-26T14:00:00.000Z"
NBSP = "\u00a0"
DAYS = ("2026-11-26", "26 november 2026", "November 26, 2026", "26. November 2026")
TIMES = (
    "2026-11-26 15:00",
    "26 november 2026, 15:00",
    "November 26, 2026, 3:00\u202fPM",
    "26. November 2026, 15:00",
)
PRICES = ("€1234.50", f"€{NBSP}1.234,50", "€1,234.50", f"1.234,50{NBSP}€")
RECORD = "rec0123456789ABCD"
EVA = {"id": "usr1", "email": "eva@example.com", "name": "Eva"}
PDF = {"id": "att1", "url": "https://x.test/1", "filename": "menu.pdf", "size": 7}
AI = {"state": "generated", "isStale": False}
EURO: dict[str, Any] = {"type": "currency", "options": {"precision": 2, "symbol": "€"}}
DATE: dict[str, Any] = {
    "type": "date",
    "options": {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}},
}
DATE_TIME: dict[str, Any] = {"type": "dateTime", "options": {"timeZone": BRUSSELS}}
CHOICES = {"choices": [{"id": "sel1", "name": "Silver"}, {"id": "sel2", "name": "Gold"}]}

# A type, its options, a cell; its text without a locale, in nl-BE, en-US and de-DE, or in all.
Row = tuple[str, dict[str, Any], Any, str | tuple[str, str, str, str]]
ROWS: list[Row] = [
    ("aiText", {}, {**AI, "value": " Hello. "}, "Hello."),
    ("aiText", {}, {**AI, "state": "loading", "value": "Hel"}, ""),
    ("aiText", {}, {**AI, "state": "empty", "value": None}, ""),
    ("aiText", {}, {**AI, "state": "error", "errorType": "x", "value": None}, ""),
    ("autoNumber", {}, 12345, "12345"),
    ("barcode", {}, {"text": "5412345", "type": "ean8"}, "5412345"),
    ("button", {}, {"label": "Open", "url": "https://x.test"}, "Open"),
    ("checkbox", {"icon": "check"}, True, "true"),
    ("checkbox", {"icon": "check"}, None, "false"),
    ("count", {"isValid": True}, 12, "12"),
    ("createdBy", {}, EVA, "Eva"),
    ("createdTime", {"result": DATE_TIME}, TIME, TIMES),
    ("createdTime", {"result": DATE}, "2026-11-26T23:30:00.000Z", DAYS),
    ("currency", EURO["options"], 1234.5, PRICES),
    (
        "currency",
        EURO["options"],
        -29.99,
        ("-€29.99", f"€{NBSP}-29,99", "-€29.99", f"-29,99{NBSP}€"),
    ),
    ("currency", {"precision": 0, "symbol": "$"}, 5, ("$5", f"${NBSP}5", "$5", f"5{NBSP}$")),
    ("date", DATE["options"], "2026-11-26", DAYS),
    ("dateTime", DATE_TIME["options"], TIME, TIMES),
    ("duration", {"durationFormat": "h:mm"}, 5400, "1:30"),
    ("duration", {"durationFormat": "h:mm"}, -5400, "-1:30"),
    ("duration", {"durationFormat": "h:mm"}, 108_000, "30:00"),
    ("duration", {"durationFormat": "h:mm"}, -20, "0:00"),
    ("duration", {"durationFormat": "h:mm:ss"}, 3661, "1:01:01"),
    ("duration", {"durationFormat": "h:mm:ss.S"}, 3661.25, "1:01:01.3"),
    ("duration", {"durationFormat": "h:mm:ss.SS"}, 3661.25, "1:01:01.25"),
    ("duration", {"durationFormat": "h:mm:ss.SSS"}, 59.9996, "0:01:00.000"),
    ("email", {}, " eva@example.com ", "eva@example.com"),
    ("externalSyncSource", CHOICES, "Gold", "Gold"),
    ("externalSyncSource", CHOICES, {"id": "sel2", "name": "Gold"}, "Gold"),
    ("formula", {"result": EURO}, 1234.5, PRICES),
    ("formula", {"result": DATE}, "2026-11-26", DAYS),
    ("formula", {"result": {"type": "checkbox"}}, None, "false"),
    ("formula", {"result": {"type": "singleLineText"}}, ["a", "", "b"], "a, b"),
    ("formula", {"result": None, "isValid": False}, {"error": "#ERROR!"}, ""),
    ("lastModifiedBy", {}, {"id": "usr1", "email": "eva@example.com"}, "eva@example.com"),
    ("lastModifiedTime", {"result": DATE_TIME, "isValid": True}, TIME, TIMES),
    ("lookup", {"result": EURO}, [1234.5], PRICES),
    ("manualSort", {}, "aZ", "aZ"),
    ("multilineText", {}, "two\nlines\n", "two\nlines"),
    ("multipleAttachments", {}, [PDF, PDF], "menu.pdf, menu.pdf"),
    ("multipleAttachments", {}, [{"id": "att1", "url": "https://x.test/1"}], ""),
    ("multipleCollaborators", {}, [EVA, {"id": "usr2"}, {**EVA, "name": "Ed"}], "Eva, Ed"),
    ("multipleLookupValues", {"result": EURO}, [1234.5, None, {"error": "#ERROR!"}], PRICES),
    ("multipleLookupValues", {"result": DATE_TIME}, [TIME], TIMES),
    ("multipleLookupValues", {"result": {"type": "checkbox"}}, [True, False], "true, false"),
    ("multipleLookupValues", {"result": {"type": "checkbox"}}, None, ""),
    ("multipleLookupValues", {"result": {"type": "multipleAttachments"}}, [PDF], "menu.pdf"),
    ("multipleLookupValues", {"result": {"type": "multipleRecordLinks"}}, [RECORD], ""),
    ("multipleRecordLinks", {"linkedTableId": "tbl1"}, [RECORD, RECORD], ""),
    ("multipleSelects", CHOICES, ["Gold", "Silver"], "Gold, Silver"),
    ("number", {"precision": 2}, 29.990000000000002, ("29.99", "29,99", "29.99", "29,99")),
    ("number", {"precision": 2}, 30, ("30.00", "30,00", "30.00", "30,00")),
    ("number", {"precision": 0}, 12345, ("12345", "12.345", "12,345", "12.345")),
    ("number", {"precision": 0}, -0.4, "0"),
    ("percent", {"precision": 1}, 0.075, ("7.5%", "7,5%", "7.5%", f"7,5{NBSP}%")),
    ("phoneNumber", {}, "(415) 555-9876", "(415) 555-9876"),
    ("rating", {"max": 5}, 4, "4"),
    ("richText", {}, "**bold**\n", "**bold**"),
    ("rollup", {"result": {"type": "number", "options": {"precision": 0}}}, 3.0, "3"),
    ("rollup", {"result": {"type": "singleLineText"}}, {"specialValue": "NaN"}, ""),
    ("singleCollaborator", {}, {"id": "usr1", "name": " "}, ""),
    ("singleLineText", {}, " Dutch ", "Dutch"),
    ("singleLineText", {}, TIME, TIME),
    ("singleSelect", CHOICES, "Gold", "Gold"),
    ("url", {}, "https://x.test", "https://x.test"),
]
EXPECTED = [
    pytest.param(type_, options, cell, locale, text, id=f"{type_}-{locale}")
    for type_, options, cell, texts in ROWS
    for locale, text in zip(LOCALES, [texts] * 4 if isinstance(texts, str) else texts, strict=True)
]


def text_in(text_format: TextFormat, type_: str, options: dict[str, Any], cell: Any) -> str:
    field = FieldType.from_schema({"type": type_, "options": options})
    return Formatter(text_format).for_field(field)(cell)


def number_text(value: Any, precision: int | None, locale: str | None = None) -> str:
    return text_in(TextFormat(locale), "number", {"precision": precision}, value)


@pytest.mark.parametrize(("type_", "options", "cell", "locale", "text"), EXPECTED)
def test_a_cell_of_every_type_has_the_text_that_people_see(
    type_: str, options: dict[str, Any], cell: Any, locale: str | None, text: str
) -> None:
    assert text_in(TextFormat(locale, BRUSSELS), type_, options, cell) == text


def test_every_type_of_airtable_is_tested() -> None:
    assert {row[0] for row in ROWS} == set(AIRTABLES_TYPES)


@pytest.mark.parametrize(
    ("value", "precision", "text"),
    [
        (1.005, 2, "1.01"),
        (-2.5, 0, "-3"),
        (0.1 + 0.2, None, "0.3"),
        (0.1 + 0.2 - 0.3, None, "0"),
        (1e-7, None, "0.0000001"),
        (1e22, None, "10000000000000000000000"),
        (1234567890.25, None, "1234567890.25"),
        (100.0, None, "100"),
        (-123456789012345678901234567890123, 1, "-123456789012345678901234567890123.0"),
    ],
)
def test_numbers_have_no_float_noise_and_no_exponent_and_are_rounded_half_up(
    value: float, precision: int | None, text: str
) -> None:
    assert number_text(value, precision) == text


def test_a_number_that_is_absurdly_long_is_empty() -> None:
    assert number_text(10**5000, 2) == ""
    assert number_text(10**4000, 0) == "1" + 4000 * "0"


def test_swiss_numbers_keep_their_apostrophes() -> None:
    assert number_text(-1234567.5, 2, "de-CH") == "-1'234'567.50"


def test_money_without_a_symbol_is_a_number() -> None:
    assert text_in(TextFormat(), "currency", {"precision": 2}, 5) == "5.00"
    assert text_in(TextFormat("nl-BE"), "currency", {"precision": 2}, 5) == "5,00"


@pytest.mark.parametrize(
    ("time_zone", "own", "text"),
    [
        ("Europe/Brussels", "America/New_York", "2026-11-26 15:00"),
        (None, "America/New_York", "2026-11-26 09:00"),
        (None, "client", "2026-11-26 14:00"),
        (None, "utc", "2026-11-26 14:00"),
        (None, "../nonsense", "2026-11-26 14:00"),
        (None, None, "2026-11-26 14:00"),
    ],
)
def test_a_time_is_shown_in_the_mappings_zone_else_in_the_fields_own_else_in_utc(
    time_zone: str | None, own: str | None, text: str
) -> None:
    assert text_in(TextFormat(None, time_zone), "dateTime", {"timeZone": own}, TIME) == text


def test_checkboxes_use_the_mappings_words() -> None:
    words = TextFormat("nl-BE", checkbox=("ja", "nee"))
    assert [text_in(words, "checkbox", {}, cell) for cell in (True, False, None)] == [
        "ja",
        "nee",
        "nee",
    ]
    assert Formatter(words).for_field(None)([True, False]) == "ja, nee"


@pytest.mark.parametrize(
    ("type_", "cell", "text"),
    [
        ("number", "12 or so", "12 or so"),
        ("currency", True, "true"),
        ("checkbox", "yes", "yes"),
        ("date", "2026-02-31", "2026-02-31"),
        ("date", "+012026-01-01", "+012026-01-01"),
        ("dateTime", "2026-11-26T25:00:00.000Z", "2026-11-26T25:00:00.000Z"),
        ("dateTime", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"),
        ("dateTime", 5, "5"),
        ("singleLineText", 5.0, "5"),
        ("singleCollaborator", "Eva", "Eva"),
        ("number", float("nan"), ""),
        ("percent", float("inf"), ""),
        ("number", {"error": "#ERROR!"}, ""),
        ("number", [1, [2, "x"]], "1, 2, x"),
        ("multilineText", "half a \ud83d smile", "half a ? smile"),
        ("aTypeOfTomorrow", {"later": [1]}, '{"later": [1]}'),
    ],
)
def test_a_value_that_does_not_fit_the_type_is_shown_as_it_is(
    type_: str, cell: Any, text: str
) -> None:
    assert text_in(TextFormat(None, "America/New_York"), type_, {}, cell) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (29.990000000000002, "29.99"),
        (TIME, "2026-11-26 14:00"),
        ("2026-11-26T14:00:00Z", "2026-11-26T14:00:00Z"),
        ([RECORD, RECORD], ""),
        ([RECORD, "x"], f"{RECORD}, x"),
        ({"id": "usr1"}, ""),
        ({"id": "usr1", "name": "", "email": "eva@example.com"}, "eva@example.com"),
        ({"later": RECORD}, ""),
        ({**AI, "state": "loading", "value": "Hel"}, ""),
        (" x ", "x"),
    ],
)
def test_without_a_schema_the_value_itself_decides(cell: Any, text: str) -> None:
    assert text_of(cell) == text


def test_without_a_schema_numbers_and_times_are_written_in_the_locale() -> None:
    text = Formatter(TextFormat("nl-BE", BRUSSELS)).for_field(None)
    assert [text(cell) for cell in (1234.5, TIME, "2026-11-26")] == [
        "1.234,5",
        "26 november 2026, 15:00",
        "2026-11-26",
    ]


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (float("nan"), "shows an error in Airtable"),
        ([{"specialValue": "NaN"}], "shows an error in Airtable"),
        ({**AI, "state": "error", "value": None}, "is an AI field that failed"),
        ({"id": "usr1", "name": ""}, "is a collaborator with neither name nor email"),
        ([EVA, {"id": "usr2"}], "is a collaborator with neither name nor email"),
        ([EVA], ""),
        ({**AI, "value": "Hello."}, ""),
        (0.5, ""),
    ],
)
def test_a_cell_without_a_value_has_a_problem(cell: Any, problem: str) -> None:
    assert problem_of(cell) == problem
