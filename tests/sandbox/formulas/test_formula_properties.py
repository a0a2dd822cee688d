"""Any formula gives a value or an AirtableError, and quoted text cannot end its quotes."""

from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st
from pyairtable.formulas import EQ, quoted
from pyairtable.formulas import Field as FieldReference

from sandbox.airtable.common.errors import AirtableError
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.formulas import values as formula_values
from sandbox.airtable.formulas.catalog import FUNCTIONS, UNSUPPORTED
from sandbox.airtable.formulas.compiler import compile_formula

FIELDS = [Field("Name"), Field("Age", "number"), Field("Active", "checkbox")]
TABLE = Base("appFormulas000000", "", [Table("People", FIELDS)]).tables[0]
ALICE = TABLE.create({"Name": "Alice", "Age": 34})

pieces = st.sampled_from(
    [*FUNCTIONS, *UNSUPPORTED, *"(),=<>&+-*/{}'\"\\ ", "{Name}", "Age", "!=", "1", "99e99", "'a'"]
)
OPERATORS = ["=", "!=", "<", ">", "&", "+", "-", "*", "/"]
values = st.one_of(
    st.integers().map(str),
    st.floats(0, allow_nan=False, allow_infinity=False).map(str),
    st.text().map(quoted),
    st.sampled_from(
        ["{Name}", "{Age}", "{Active}", "BLANK()", "NOW()", "ERROR()", "0/0", "1/0", "RECORD_ID()"]
    ),
)
calls = st.recursive(
    values,
    lambda inner: (
        st.builds(
            lambda name, arguments: f"{name}({', '.join(arguments)})",
            st.sampled_from(sorted(FUNCTIONS)),
            st.lists(inner, max_size=4),
        )
        | st.builds("({}{}{})".format, inner, st.sampled_from(OPERATORS), inner)
    ),
    max_leaves=8,
)


def evaluate(formula: str) -> formula_values.Value:
    return compile_formula(formula, FIELDS)(RecordValues(TABLE, ALICE))


def assert_value_or_error(formula: str) -> None:
    """AirtableError is 422 for a wrong formula, 501 for one that the sandbox does not support."""
    known = (bool, int, float, str, datetime, list, formula_values.ErrorValue, type(None))
    with suppress(AirtableError):
        value = evaluate(formula)
        assert isinstance(value, known)
        formula_values.truthy(value)


@given(st.text())
def test_any_text_gives_a_value_or_an_airtable_error(text: str) -> None:
    assert_value_or_error(text)


@given(st.lists(pieces).map("".join))
@example("REPT('a', 1e99)")
@example("99999999999999999999999999e99*9e300*9e300")
def test_any_sequence_of_tokens_gives_a_value_or_an_airtable_error(text: str) -> None:
    assert_value_or_error(text)


@given(calls)
@example("DATEADD(NOW(), 1e300, 'years')")
@example("ROUND(1e308, 30)")
@example("REGEX_REPLACE('a', 'a{99999999999}', '')")
@example("REGEX_REPLACE('abc', '(b)', '$9')")
@example("MAX({Name}, ERROR())")
def test_any_call_gives_a_value_or_an_airtable_error(formula: str) -> None:
    assert_value_or_error(formula)


@given(st.text())
@example("O'Brien")
@example("a\\")
@example("a\\'b")
@example("'),1=1,('")
@example('say "hi"')
@example("\\n")
def test_quoted_text_evaluates_to_itself(text: str) -> None:
    assert evaluate(quoted(text)) == text


@given(st.text(), st.text())
def test_quoted_text_matches_only_itself(name: str, wanted: str) -> None:
    record = TABLE.create({"Name": name})
    formula = compile_formula(str(EQ(FieldReference("Name"), wanted)), FIELDS)
    matches = formula_values.truthy(formula(RecordValues(TABLE, record)))
    TABLE.delete(record.id)
    assert matches is (name == wanted)


@given(st.text(st.characters(exclude_characters="\\"), min_size=1))
def test_any_field_name_can_be_referred_to(name: str) -> None:
    reference = str(FieldReference(name))
    evaluator = compile_formula(reference, [Field(name)])
    assert callable(evaluator)


def test_times_are_in_utc() -> None:
    assert evaluate("DATETIME_PARSE('2024-01-01')") == datetime(2024, 1, 1, tzinfo=UTC)
    assert evaluate("DATETIME_PARSE('2024-01-01T02:00+02:00')") == datetime(2024, 1, 1, tzinfo=UTC)


def test_values_are_converted_to_text() -> None:
    for formula, text in {
        "1.50&''": "1.5",
        "TRUE()&''": "1",
        "1/0&''": "Infinity",
        "DATETIME_PARSE('2024-01-01')&''": "2024-01-01T00:00:00.000Z",
    }.items():
        assert evaluate(formula) == text
