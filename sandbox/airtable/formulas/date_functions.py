"""Date functions of formulas. All times are in UTC."""

from datetime import UTC, datetime, timedelta

from sandbox.airtable.formulas.functions import Functions
from sandbox.airtable.formulas.values import NoValue, Value, moment, number, text, whole

DATES = Functions()
SECONDS = {
    "milliseconds": 0.001,
    "seconds": 1,
    "minutes": 60,
    "hours": 3600,
    "days": 86_400,
    "weeks": 604_800,
}
SHORT = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MONTHS = {"months": 1, "quarters": 3, "years": 12}


@DATES.define(0)
def now() -> Value:
    return datetime.now(UTC)


@DATES.define(0)
def today() -> Value:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@DATES.define(1)
def datetime_parse(written: Value) -> Value:
    return moment(written)


@DATES.define(1)
def datestr(value: Value) -> Value:
    return f"{_given(value):%Y-%m-%d}"


@DATES.define(2)
def is_after(left: Value, right: Value) -> Value:
    first, second = moment(left), moment(right)
    return first is not None and second is not None and first > second


@DATES.define(2)
def is_before(left: Value, right: Value) -> Value:
    return is_after(right, left)


@DATES.define(2, 3)
def is_same(left: Value, right: Value, unit: Value = "milliseconds") -> Value:
    first, second = moment(left), moment(right)
    if first is None or second is None:
        return False
    return _start(first, _unit(unit)) == _start(second, _unit(unit))


@DATES.define(3)
def dateadd(start: Value, count: Value, unit: Value) -> Value:
    name = _unit(unit)
    if name in MONTHS:
        return _add_months(_given(start), whole(count) * MONTHS[name])
    return _given(start) + timedelta(seconds=number(count) * SECONDS[name])


@DATES.define(2, 3)
def datetime_diff(left: Value, right: Value, unit: Value = "seconds") -> Value:
    name = _unit(unit)
    if name in MONTHS:
        raise NoValue
    return int((_given(left) - _given(right)).total_seconds() / SECONDS[name])


def _given(value: Value) -> datetime:
    date = moment(value)
    if date is None:
        raise NoValue
    return date


def _unit(value: Value) -> str:
    name = SHORT.get(text(value), text(value).lower())
    name = name if name.endswith("s") else f"{name}s"
    if name not in SECONDS and name not in MONTHS:
        raise NoValue
    return name


def _start(date: datetime, unit: str) -> tuple[int, ...]:
    fields = ("years", "months", "days", "hours", "minutes", "seconds", "milliseconds")
    if unit not in fields:
        raise NoValue
    parts = (*date.timetuple()[:6], date.microsecond // 1000)
    return tuple(parts[: fields.index(unit) + 1])


def _add_months(date: datetime, months: int) -> datetime:
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    for day in range(date.day, 27, -1):
        try:
            return date.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return date.replace(year=year, month=month + 1)
