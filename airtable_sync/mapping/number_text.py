"""Numbers as text: plain, money, percentages and durations."""

import copy
import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.numbers import NumberPattern, get_group_symbol

Writer = Callable[[Any], str | None]  # a cell's text; None if the value is of another kind

# Python's JSON parser reads numbers of up to 4,300 digits, which have 14,300 bits.
_MAX_BITS = 14_000
_CONTEXT = Context(prec=5000, rounding=ROUND_HALF_UP)
# A double is exact to 15 digits. The rest is noise: 0.1 + 0.2 is 0.30000000000000004.
_EXACT_DIGITS = 15
_CACHED = 1024  # texts a field; Babel needs some 10 µs for each
_DIGITS = re.compile(r"[0-9]+")
_DURATION = re.compile(r"h:mm(?P<seconds>:ss(?:\.(?P<fraction>S{1,3}))?)?")


def decimal_of(value: Any) -> Decimal | None:
    """The number without float noise. None if it is not a number, not finite, or absurdly long."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return Decimal(value) if value.bit_length() <= _MAX_BITS else None
    if not math.isfinite(value):
        return None
    is_exact = abs(value) < 10**_EXACT_DIGITS
    return Decimal(f"{value:.{_EXACT_DIGITS}g}" if is_exact else repr(value))


def rounded(number: Decimal, precision: int | None) -> Decimal:
    """Half away from zero, and never -0. Without a precision there are no zeros at the end."""
    digits = _EXACT_DIGITS if precision is None else precision
    result = number.quantize(Decimal(1).scaleb(-digits), context=_CONTEXT)
    if precision is None:
        result = result.normalize(_CONTEXT)
    return result if result else result.copy_abs()


class NumberText:
    """Makes the functions that write numbers in a locale, or without one."""

    def __init__(self, locale: Locale | None) -> None:
        self._locale = locale

    def number(self, precision: int | None) -> Writer:
        if self._locale is None:
            return _cached(_plain(precision))
        return _cached(_in_locale(self._locale, self._locale.decimal_formats[None], precision))

    def money(self, precision: int | None, symbol: str) -> Writer:
        if self._locale is None:
            return _cached(_plain(precision, before=symbol))
        pattern = self._locale.currency_formats["standard"]
        return _cached(_in_locale(self._locale, pattern, precision, symbol))

    def percent(self, precision: int | None) -> Writer:
        if self._locale is None:
            return _cached(_plain(precision, scale=2, after="%"))
        return _cached(_in_locale(self._locale, self._locale.percent_formats[None], precision))


def integer(value: Any) -> str | None:
    """A rating or a record's number, which are never grouped."""
    return None if (number := decimal_of(value)) is None else f"{rounded(number, None):f}"


def duration(length: str) -> Writer:
    """A writer of seconds in one of Airtable's formats, such as "h:mm" or "h:mm:ss.SS"."""
    found = _DURATION.fullmatch(length)
    has_seconds = found is None or found["seconds"] is not None
    digits = len((found and found["fraction"]) or "")

    def write(seconds: Decimal) -> str:
        whole, fraction = _split(seconds if has_seconds else _CONTEXT.divide(seconds, 60), digits)
        if not has_seconds:
            text = f"{whole // 60}:{whole % 60:02}"
        else:
            text = f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}{fraction}"
        is_negative = seconds < 0 and text.strip("0:.")
        return f"-{text}" if is_negative else text

    return _cached(write)


def _split(number: Decimal, digits: int) -> tuple[int, str]:
    """The rounded number's whole part, and its fraction as text."""
    text = f"{rounded(number.copy_abs(), digits):f}"
    whole, point, fraction = text.partition(".")
    return int(whole), point + fraction


def _plain(
    precision: int | None, *, scale: int = 0, before: str = "", after: str = ""
) -> Callable[[Decimal], str]:
    """`before` and `after` stand around the digits, behind the minus sign."""

    def write(number: Decimal) -> str:
        result = rounded(number.scaleb(scale, _CONTEXT), precision)
        return f"{'-' if result < 0 else ''}{before}{result.copy_abs():f}{after}"

    return write


def _in_locale(
    locale: Locale, pattern: NumberPattern, precision: int | None, symbol: str = ""
) -> Callable[[Decimal], str]:
    pattern = copy.copy(pattern)  # Babel shares it
    pattern.frac_prec = (precision or 0, precision or 0)
    scale = pattern.scale  # Babel multiplies a percentage by 100
    has_apostrophes = get_group_symbol(locale) == "'"

    def write(number: Decimal) -> str:
        value = rounded(number.scaleb(scale, _CONTEXT), precision).scaleb(-scale, _CONTEXT)
        with localcontext(_CONTEXT):
            text: str = pattern.apply(
                value, locale, decimal_quantization=False, group_separator=not has_apostrophes
            )
        return (_grouped(text) if has_apostrophes else text).replace("¤", symbol)

    return write


def _grouped(text: str) -> str:
    """For Swiss numbers: Babel takes the apostrophes in 1'234'567 for quotes."""
    return _DIGITS.sub(lambda digits: f"{Decimal(digits[0]):,}".replace(",", "'"), text, count=1)


def _cached(write: Callable[[Decimal], str]) -> Writer:
    @lru_cache(_CACHED)
    def text_of_number(value: float) -> str | None:
        return None if (number := decimal_of(value)) is None else write(number)

    def text(value: Any) -> str | None:
        # True and 1 are the same key of the cache.
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return text_of_number(value) if is_number else None

    return text
