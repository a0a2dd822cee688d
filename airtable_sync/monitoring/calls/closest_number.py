"""The known number that somebody may have meant: a typing error away, or in another country."""

from collections.abc import Collection, Iterator

from airtable_sync.mapping.phone_numbers import last_digits

_DIGITS = "0123456789"


def nearest(number: str, known: Collection[str]) -> str | None:
    """The nearest known number in E.164, or None if none is near: first one digit that is wrong,
    missing or too many, or two that changed places; then the same last eight digits behind another
    country code; then two such errors. Among equals the smallest. Pass a set: of a list of 50,000
    one is made each time (2 ms)."""
    numbers = known if isinstance(known, (set, frozenset, dict)) else frozenset(known)
    others = {number}
    if found := _smallest(_one_error(number), numbers, others):
        return found
    ending = last_digits(number)
    abroad = (each for each in numbers if each.endswith(ending))
    if found := _smallest(abroad, numbers, others):
        return found
    twice = (two for one in set(_one_error(number)) for two in _one_error(one))
    return _smallest(twice, numbers, others)


def _smallest(candidates: Iterator[str], numbers: Collection[str], but: set[str]) -> str | None:
    return min((each for each in candidates if each in numbers and each not in but), default=None)


def _one_error(number: str) -> Iterator[str]:
    """Every number that becomes this one, or the other way round, by one error of typing."""
    digits = number[1:]
    for place in range(len(digits) + 1):
        before, after = digits[:place], digits[place:]
        if after:
            yield f"+{before}{after[1:]}"
        if len(after) > 1:
            yield f"+{before}{after[1]}{after[0]}{after[2:]}"
        for digit in _DIGITS:
            yield f"+{before}{digit}{after}"
            if after:
                yield f"+{before}{digit}{after[1:]}"
