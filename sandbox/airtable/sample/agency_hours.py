"""The opening hours of the agency's phone lines."""

from collections.abc import Iterable

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def slots(days: Iterable[str], *times: str) -> tuple[str, ...]:
    """Keys of HOURS: `slots(["Monday"], "08:00-12:00")` is ("Monday 08:00-12:00",)."""
    return tuple(f"{day} {time}" for day in days for time in times)


# In the order in which a person linked them, which is not that of the week.
BAKERY = slots(["Sunday"], "07:00-13:00") + slots(DAYS[1:6], "06:30-18:00")
DENTIST = slots(DAYS[:5], "13:30-17:30", "08:30-12:00")
BICYCLES = slots(["Saturday"], "10:00-16:00") + slots(DAYS[1:5], "09:30-18:30")
NOTARY = slots(DAYS[:4], "09:00-12:30", "14:00-17:00") + slots(["Friday"], "09:00-12:30")
ESTATE_AGENT = slots(DAYS[:5], "09:00-18:00") + slots(["Saturday"], "10:00-13:00")
HEATING = slots(DAYS[:5], "07:30-16:30")
EMERGENCIES = slots(DAYS, "00:00-24:00")


def _cells(slot: str) -> dict[str, str]:
    day, _, times = slot.partition(" ")
    start, _, end = times.partition("-")
    return {"Day": day, "From": start, "To": end}


HOURS = {
    slot: _cells(slot)
    for slot in BAKERY + DENTIST + BICYCLES + NOTARY + ESTATE_AGENT + HEATING + EMERGENCIES
}
