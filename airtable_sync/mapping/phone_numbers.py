"""Called numbers: one function turns what people and platforms write into E.164, for the refresh,
for lookups and for calls alike."""

import re
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers

# What may stand between the digits. Letters are not among it, nor is a second "+": text that holds
# a number somewhere, or two numbers, is not a number, and picking one would be guessing. Only ASCII
# digits: Airtable's formulas, by which a single number is looked up, know no others.
_SHAPE = re.compile(r"\(?\+?[0-9\s().\-/\u2010-\u2015\u00b7]+")
_NO_DIGIT = re.compile(r"[^0-9]")
# Marks nobody sees, which phones and spreadsheets add when a number is copied.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SIP = re.compile(r"(?:[^<]*<)?sips?:([^@;?>]*).*", re.IGNORECASE | re.DOTALL)
_TEL = re.compile(r"tel:([^;?]*)(.*)", re.IGNORECASE | re.DOTALL)
_CONTEXT = re.compile(r";phone-context=(\+[0-9.\-]+)", re.IGNORECASE)
LONGEST = 100


def e164(text: str, region: str) -> str | None:
    """The number in E.164 (`+32460234291`), or None when the text is no telephone number.

    Understands separators, `00` for `+`, a trunk `(0)`, `tel:` (RFC 3966) and `sip:` forms, and
    numbers without a country code, which are taken to be of `region` (ISO 3166, `BE`).
    """
    return _e164(text, region) if len(text) <= LONGEST else None


@lru_cache(maxsize=100_000)
def _e164(text: str, region: str) -> str | None:
    text = _number_part(text.strip())
    if not _SHAPE.fullmatch(text):
        return None
    digits = _NO_DIGIT.sub("", text)
    if "+" in text:
        digits = f"+{digits}"
    elif digits.startswith("00"):
        digits = f"+{digits[2:]}"
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _number_part(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    if sip := _SIP.fullmatch(text):
        return unquote(sip[1]).strip()
    if tel := _TEL.fullmatch(text):
        context = _CONTEXT.search(tel[2])
        subscriber = unquote(tel[1]).strip()
        return f"{context[1]}{subscriber}" if context and subscriber[:1] != "+" else subscriber
    return text.replace("\uff0b", "+").strip()


def last_digits(number: str) -> str:
    """The last digits of an E.164 number, eight at most, that every way of writing it ends with:
    also the national one, whose digits are fewer in a small country."""
    national = phonenumbers.national_significant_number(phonenumbers.parse(number))
    return national[-8:]
