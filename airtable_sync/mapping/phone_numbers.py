"""Phone numbers: one function normalises what people and platforms write to E.164. The refresh,
lookups and calls all use it."""

import re
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers

# The separators that may stand between the digits. Letters and a second "+" are not allowed: a text
# with a number somewhere in it, or with two, is ambiguous.
_SHAPE = re.compile(r"[(\[]?\+?[0-9\s()\[\].\-/\u2010-\u2015\u2212\u00b7]+")
_PLAIN = re.compile(r"\+?[0-9]+")  # most numbers: nothing has to be removed
# Digits of other scripts are not numbers here: lookups could not find them (`formulas.py`).
FULL_WIDTH_DIGITS = "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19"
_TO_ASCII = str.maketrans(f"{FULL_WIDTH_DIGITS}\uff0b\uff08\uff09\uff0d", "0123456789+()-")
# In the languages of Europe: the extension is dialled later, and is not part of the number.
_EXTENSION = re.compile(
    r"[\s,;]*(?:\b(?:ext(?:n|ension)?|poste|toestel|tst|durchwahl|dw|int(?:erno)?)\b|x|#)[\s.:=]*"
    r"[0-9]{1,6}",
    re.IGNORECASE,
)
# What some platforms and exports write in front: `whatsapp:+32…`, `p:+32…`.
_PREFIX = re.compile(r"^\s*(?:whatsapp|p):\s*(?=\+|%2[bB]|[0-9])", re.IGNORECASE)
# Mobile numbers in Mexico had a 1 behind the country code until 2019, and 044 or 045 in front.
_OLD_MEXICAN = re.compile(r"(?:\+52(?:1|044|045)|04[45])([0-9]{10})")
_NOT_A_DIGIT = re.compile(r"[^0-9]")
# Invisible characters that phones and spreadsheets add when a number is copied.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SIP = re.compile(r"(?:[^<]*<)?sips?:([^@;?>]*).*", re.IGNORECASE | re.DOTALL)
_TEL = re.compile(r"(?:[^<]*<)?tel:([^;?>]*)(.*)", re.IGNORECASE | re.DOTALL)
_CONTEXT = re.compile(r";phone-context=(\+[0-9.\-]+)", re.IGNORECASE)
MAX_LENGTH = 100
MAX_ADDRESS_LENGTH = 1000  # of a SIP header, with a name, a host and parameters
MIN_DIGITS = 5  # fewer are an extension


def to_e164(text: str, region: str) -> str | None:
    """The number in E.164 (`+32460234291`). None if the text is not a telephone number.

    Accepts separators, `00` for `+`, a trunk `(0)`, an extension (`ext. 5`), `tel:` (RFC 3966) and
    `sip:` addresses. A number without a country code belongs to `region` (ISO 3166, `BE`)."""
    return _to_e164(text, region) if len(text) <= MAX_LENGTH else None


def to_e164_once(text: str, region: str) -> str | None:
    """The same without a cache, for a whole base's numbers: each comes once."""
    return _to_e164.__wrapped__(text, region) if len(text) <= MAX_LENGTH else None


def number_in_address(address: str) -> str:
    """The number as it is written in a SIP header such as `"John" <sip:+32…@host;user=phone>`. ""
    if there is none that can be a telephone number, in whatever region."""
    if len(address) > MAX_ADDRESS_LENGTH:
        return ""
    number = _number_part(address.translate(_TO_ASCII).strip())
    has_digits = len(_NOT_A_DIGIT.sub("", number)) >= MIN_DIGITS
    return number if has_digits and _SHAPE.fullmatch(number) else ""


@lru_cache(maxsize=10_000)  # about 3 MB
def _to_e164(text: str, region: str) -> str | None:
    digits = text if _PLAIN.fullmatch(text) else _digits(text)
    if digits is None:
        return None
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    if (old := _OLD_MEXICAN.fullmatch(digits)) and (digits[0] == "+" or region == "MX"):
        digits = f"+52{old[1]}"
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _digits(text: str) -> str | None:
    """With "+" in front if the text has one."""
    text = _number_part(text.translate(_TO_ASCII).strip())
    if not _SHAPE.fullmatch(text):
        return None
    digits = _NOT_A_DIGIT.sub("", text)
    return f"+{digits}" if "+" in text else digits


def _number_part(text: str) -> str:
    text = _PREFIX.sub("", _INVISIBLE.sub("", text), count=1)
    if text[:3].upper() == "%2B":  # some proxies encode a form twice
        text = unquote(text)
    if sip := _SIP.fullmatch(text):
        return unquote(sip[1]).strip()
    if tel := _TEL.fullmatch(text):
        context = _CONTEXT.search(tel[2])
        subscriber = unquote(tel[1]).strip()
        return f"{context[1]}{subscriber}" if context and subscriber[:1] != "+" else subscriber
    number, extension = text, _EXTENSION.search(text)
    if extension and extension.end() == len(text):
        number = text[: extension.start()]
    return number.strip()


def last_digits(number: str) -> str:
    """The last digits of an E.164 number, eight at most. Every way of writing the number ends with
    them, the national way too, which has fewer digits in a small country."""
    national = phonenumbers.national_significant_number(phonenumbers.parse(number))
    return national[-8:]
