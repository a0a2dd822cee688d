"""The agency's phone lines, and the texts that its agents use on them.

All numbers and names are invented. The numbers are written as people type them, and numbers of
other kinds as Airtable sends them.
"""

from typing import Any

from sandbox.airtable.sample import agency_hours as hours
from sandbox.airtable.sample.agency_clients import (
    BAKERY,
    BICYCLES,
    DENTIST,
    ESTATE_AGENT,
    HEATING,
    NOTARY,
)

Cells = dict[str, Any]
CALLED_NUMBER = "+3293961101"
"""The first phone line, as a platform sends it."""

GREETING_NL = "greeting = Goedendag"
GREETING_FR = "greeting = Bonjour"
GREETING_DE = "greeting = Guten Tag"
GREETING_EN = "greeting = Good morning"
BAKER = "agent name = Lotte"
SECRETARY = "agent name = Pieter"
CLERK = "agent name = Élise"
BOOKING = "booking link = https://book.example/lindenhof?from=phone"
URGENT = "urgent line = 0468 90 11 99"

TEXTS = {
    pair: {"key_pair": pair}
    for pair in (
        GREETING_NL,
        GREETING_FR,
        GREETING_DE,
        GREETING_EN,
        BAKER,
        SECRETARY,
        CLERK,
        BOOKING,
        URGENT,
    )
}


def _line(number: str, name: str, client: str, status: str = "Active", **cells: Any) -> Cells:
    """Other cells are given by the field's name in snake case."""
    given = {key.replace("_", " ").capitalize(): value for key, value in cells.items()}
    links = {"Client": [client]} if client else {}
    return {"Number": number, "Name": name, "Status": status} | links | given


_LINES = (
    _line(
        "+32 9 396 11 01",
        "Orders",
        BAKERY,
        opening_hours=hours.BAKERY,
        agent="agent_zonnegloed",
        price_per_minute=0.15000000000000002,
        max_wait=300,
        texts=[GREETING_NL, BAKER],
        notes="Ask for the pick-up time.\nNo cakes on Sundays.",
        live_since="2025-09-01",
        reviewed="2026-07-14T13:05:00.000Z",
        recording=True,
    ),
    _line(
        "09/396.11.02",
        "Wholesale",
        BAKERY,
        opening_hours=hours.BAKERY,
        price_per_minute=0.15000000000000002,
        max_wait=600,
        texts=[GREETING_NL, BAKER],
        live_since="2026-01-15",
    ),
    _line(
        "0032 9 396 11 03",
        "Appointments",
        DENTIST,
        opening_hours=hours.DENTIST,
        agent="agent_lindenhof",
        price_per_minute=0.2,
        max_wait=900,
        texts=[GREETING_NL, SECRETARY, BOOKING],
        notes="Never give medical advice.",
        live_since="2025-05-12",
        reviewed="2026-03-02T08:30:00.000Z",
        recording=True,
    ),
    _line(
        "(09) 396 11 04",
        "Emergencies",
        DENTIST,
        also_reachable_on="0468 90 12 05, 09 396 11 99",
        opening_hours=hours.EMERGENCIES,
        agent="agent_lindenhof_urgent",
        price_per_minute=0.35000000000000003,
        max_wait=60,
        texts=[GREETING_NL, SECRETARY, URGENT],
        live_since="2025-05-12",
        reviewed="2025-12-31T23:30:00.000Z",
    ),
    _line(
        "09 396 11 05",
        "Workshop",
        BICYCLES,
        opening_hours=hours.BICYCLES,
        price_per_minute=0.1,
        max_wait=1800,
        texts=[GREETING_NL],
        live_since="2026-02-02",
    ),
    _line(
        "+32 (0)468 90 11 06",
        "Lease bicycles",
        BICYCLES,
        price_per_minute=0.1,
        live_since="2026-06-30",
        recording=True,
    ),
    _line(
        "069 39 11 07",
        "Reception",
        NOTARY,
        opening_hours=hours.NOTARY,
        agent="agent_delvaux",
        price_per_minute=0.30000000000000004,
        max_wait=5400,
        texts=[GREETING_FR, CLERK],
        notes="Dossiers en cours : transférer.",
        live_since="2025-11-03",
        reviewed="2026-08-20T15:45:00.000Z",
        recording=True,
    ),
    _line(
        "+32.468.90.11.08",
        "Viewings",
        ESTATE_AGENT,
        opening_hours=hours.ESTATE_AGENT,
        agent="agent_torens",
        price_per_minute=0.25,
        max_wait=1200,
        texts=[GREETING_EN],
        live_since="2025-10-20",
    ),
    _line(
        "09-396-11-09",
        "Tenants",
        ESTATE_AGENT,
        opening_hours=hours.ESTATE_AGENT,
        price_per_minute=0.25,
        max_wait=7500,
        texts=[GREETING_EN, URGENT],
        live_since="2026-04-01",
    ),
    _line(
        "087 39 11 10",
        "Kundendienst",
        HEATING,
        opening_hours=hours.HEATING,
        price_per_minute=0.18000000000000002,
        max_wait=2700,
        texts=[GREETING_DE],
        live_since="2026-03-16",
        reviewed="2026-03-29T00:15:00.000Z",
    ),
    _line("0468 90 11 11", "Christmas cakes", BAKERY, "Paused", price_per_minute=0.1),
    _line("09 396 11 12", "New client?", "", "Draft", notes="Waiting for the contract."),
)
PHONE_LINES: dict[str, Cells] = {line["Number"]: line for line in _LINES}
