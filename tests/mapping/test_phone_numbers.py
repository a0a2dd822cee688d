"""Telephone numbers as people type them and platforms send them."""

import time

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.mapping.phone_numbers import last_digits, to_e164


@pytest.mark.parametrize(
    "text",
    [
        "+32460234291",
        " +32 460 23 42 91 ",
        "+32 (0)460 23 42 91",
        "+320460234291",
        "0460 23 42 91",
        "0460/23.42.91",
        "0032460234291",
        "00 32 460 23 42 91",
        "32460234291",
        "460234291",
        "+32-460-234-291",
        "+32\u00a0460\u00a023\u00a042\u00a091",
        "\u202a+32 460 23 42 91\u202c",
        "\uff0b32460234291",
        "(+32) 460 23 42 91",
        "+32\u202f460\u200923\t42\n91",
        "+32\u00b7460\u00b723\u00b742\u00b791",
        "tel:+32-460-234-291",
        "TEL:+32460234291;ext=5",
        "tel:0460234291;phone-context=+32",
        "sip:+32460234291@sip.example.com:5060;transport=udp",
        "sips:32460234291@example.com",
        "sip:%2B32460234291@example.com",
        '"Reception" <sip:+32460234291@example.com>;tag=1',
        "sip:+32460234291",
        "[+32] 460 23 42 91",
        "+32\u2212460\u2212234\u2212291",
        "\uff0b\uff13\uff12 \uff14\uff16\uff10\uff12\uff13\uff14\uff12\uff19\uff11",
        "\uff080460\uff0923\uff0d42\uff0d91",
        "0460 23 42 91 ext. 5",
        "0460 23 42 91 x12",
        "0460 23 42 91, poste 12",
        "0460 23 42 91 toestel 12",
        "0460 23 42 91#7",
        "+32 460 23 42 91 Extension: 1234",
        "tel:+32-460-234-291;ext=5;isub=1",
        "+32460234291;ext=5",
        "whatsapp:+32460234291",
        "p:+32460234291",
        "%2B32460234291",
        "whatsapp:%2B32460234291",
    ],
)
def test_every_way_of_writing_a_number_gives_the_same_e164(text: str) -> None:
    assert to_e164(text, "BE") == "+32460234291"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "n/a",
        "to be ordered",
        "1001",
        "+",
        "+32",
        "++32460234291",
        "+32460234291 or +32460234292",
        "+32460234291/+32460234292",
        "call 0460 23 42 91",
        "ext. 5",
        "0460 23 42 91 ext. 5 or 6",
        "0460 23 42 91 extra 5",
        "0460 23 42 91 ext. 1234567",
        "0460 23 42 91 (Tom)",
        "1-800-FLOWERS",
        "+9990460234291",
        "+324602342911234",
        "client:alice",
        "sip:alice@example.com",
        "sip:1001@pbx.example.com",
        "anonymous",
        "9" * 200,
        "+\u0663\u0662\u0664\u0666\u0660\u0662\u0663\u0664\u0662\u0669\u0661",
        "\u0000",
        "\ud800",
    ],
)
def test_text_that_is_not_a_number_gives_none_and_no_guess(text: str) -> None:
    assert to_e164(text, "BE") is None


@pytest.mark.parametrize("text", ["+", " ", "(", "tel:+", "sip:", "%2B", "+32460234291"])
def test_a_text_of_any_length_is_rejected_immediately(text: str) -> None:
    started = time.process_time()
    assert to_e164(text * 1_000_000, "BE") is None
    assert time.process_time() - started < 2


def test_a_number_without_a_country_code_belongs_to_the_region() -> None:
    assert to_e164("06 12 34 56 78", "FR") == "+33612345678"
    assert to_e164("06 12 34 56 78", "NL") == "+31612345678"
    assert to_e164("(415) 555-9876", "US") == "+14155559876"


def test_old_mexican_mobile_numbers_are_the_new_ones() -> None:
    for text in ("+52 1 55 1234 5678", "+525512345678", "044 55 1234 5678", "55 1234 5678"):
        assert to_e164(text, "MX") == "+525512345678"
    assert to_e164("+5215512345678", "US") == "+525512345678"
    assert to_e164("044 55 1234 5678", "BE") is None


def test_argentine_mobile_numbers_have_a_9_however_they_are_written() -> None:
    for text in ("+54 9 11 2345-6789", "011 15-2345-6789", "+54 11 15 2345 6789"):
        assert to_e164(text, "AR") == "+5491123456789"
    assert to_e164("+54 11 2345-6789", "AR") == "+541123456789"  # a landline


EXAMPLES = [
    (region, kind, number)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in phonenumbers.PhoneNumberType.values()
    if (number := phonenumbers.example_number_for_type(region, kind))
]


@pytest.mark.parametrize("style", ["INTERNATIONAL", "NATIONAL", "RFC3966", "E164"])
def test_the_examples_of_every_region_and_kind_are_recognised(style: str) -> None:
    """With `phonenumbers` itself as the oracle."""
    for region, kind, number in EXAMPLES:
        written = phonenumbers.format_number(number, getattr(phonenumbers.PhoneNumberFormat, style))
        expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        assert to_e164(written, region) == expected, (region, kind, written)
    assert len(EXAMPLES) > 1000


def test_without_a_region_only_international_numbers_are_recognised() -> None:
    assert to_e164("0460 23 42 91", "") is None
    assert to_e164("+32 460 23 42 91", "") == "+32460234291"


@given(st.text(max_size=120))
def test_no_text_raises_an_error(text: str) -> None:
    number = to_e164(text, "BE")
    assert number is None or (number[0] == "+" and number[1:].isdigit())


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.data())
def test_every_way_of_writing_a_number_ends_with_its_last_digits(
    region: str, data: st.DataObject
) -> None:
    example = phonenumbers.example_number(region)
    if example is None:
        return
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    style = data.draw(st.sampled_from(["INTERNATIONAL", "NATIONAL", "RFC3966", "E164"]))
    written = phonenumbers.format_number(example, getattr(phonenumbers.PhoneNumberFormat, style))
    assert to_e164(written, region) == number
    digits = "".join(filter(str.isdigit, written))
    assert digits.endswith(last_digits(number))
