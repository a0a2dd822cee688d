"""Invented people who call the agency's clients. Their numbers are written as people type them.

Sofie Claes is a contact of two clients, with the same number.
"""

from typing import Any

from sandbox.airtable.sample.agency_clients import (
    BAKERY,
    BICYCLES,
    DENTIST,
    ESTATE_AGENT,
    HEATING,
    NOTARY,
)

KNOWN_CALLER = "+32478903107"
"""Sofie Claes, as a platform sends her number."""

_BY_CLIENT: dict[str, tuple[tuple[str, str, str, str, bool], ...]] = {
    BAKERY: (
        ("Sofie", "Claes", "+32 478 90 31 07", "2026-08-29", True),
        ("Wim", "Goossens", "0478 90 31 08", "2026-08-30", False),
        ("Leen", "Baert", "0478/90.31.09", "2026-07-18", False),
        ("Karim", "Haddad", "0032 478 90 31 10", "2026-08-02", False),
        ("Greet", "Van Damme", "09 396 31 11", "2025-12-24", True),
        ("Bram", "", "0478 90 31 12", "2026-05-09", False),
        ("Ines", "Wouters", "+32478903113", "", False),
        ("Tuur", "De Backer", "0478 903 114", "2026-08-28", False),
    ),
    DENTIST: (
        ("Sofie", "Claes", "0478/90.31.07", "2026-02-11", False),
        ("Peter", "Maes", "0478 90 32 01", "2026-06-17", False),
        ("Nora", "Lambrecht", "+32 478 90 32 02", "2026-04-23", True),
        ("Dirk", "Pauwels", "09/396.32.03", "", False),
        ("Amina", "Bouzid", "0478 90 32 04", "2026-08-05", False),
        ("Jan", "Van den Bossche", "0032478903205", "2025-10-30", False),
        ("Lies", "Cools", "0478.90.32.06", "2026-03-03", False),
        ("Emiel", "Roels", "(09) 396 32 07", "2026-01-20", False),
    ),
    BICYCLES: (
        ("Stijn", "Bogaert", "0478 90 33 01", "2026-07-01", True),
        ("Fatima", "El Idrissi", "+32 478 90 33 02", "2026-08-14", False),
        ("Koen", "Mertens", "0478/90.33.03", "2025-09-27", False),
        ("Elke", "Smet", "0478 90 33 04", "", False),
        ("Roos", "Van Hecke", "09 396 33 05", "2026-06-06", False),
        ("Thijs", "Janssens", "+31 6 12 34 33 06", "2026-05-25", False),
    ),
    NOTARY: (
        ("Benoît", "Lefèvre", "0478 90 34 01", "2026-08-19", True),
        ("Chloé", "Dumont", "+32 478 90 34 02", "2026-04-14", False),
        ("Aurélie", "Simon", "069/39.34.03", "", False),
        ("Mathieu", "Gérard", "0032 478 90 34 04", "2026-07-07", False),
        ("Yasmina", "Toumi", "0478 90 34 05", "2025-11-18", False),
        ("Luc", "Renard", "+33 6 12 34 34 06", "2026-02-26", False),
        ("Odile", "Mercier", "0478.90.34.07", "2026-06-11", False),
    ),
    ESTATE_AGENT: (
        ("Charlotte", "Peeters", "0478 90 35 01", "2026-08-12", False),
        ("Oliver", "Grant", "+44 161 496 0352", "2026-07-30", True),
        ("Liesbeth", "D'hondt", "0478/90.35.03", "2026-03-19", False),
        ("Marek", "Nowak", "+32 478 90 35 04", "", False),
        ("Eva", "Vermeulen", "09 396 35 05", "2025-12-05", False),
        ("Senne", "Desmet", "0478 90 35 06", "2026-01-09", False),
    ),
    HEATING: (
        ("Günther", "Schröder", "087 39 36 01", "2026-01-28", True),
        ("Petra", "Lenz", "0478 90 36 02", "2025-11-11", False),
        ("Jürgen", "Hoffmann", "+32 478 90 36 03", "2026-02-17", False),
        ("Anke", "Kohnen", "+49 151 23456 036", "", False),
        ("Ralf", "Mießen", "0032 87 39 36 05", "2025-10-08", False),
    ),
}

CONTACTS: dict[str, dict[str, Any]] = {
    f"{first} {last}, {client}": {
        "First name": first,
        "Last name": last,
        "Phone": phone,
        "Client": [client],
        "Last order": last_order,
        "VIP": is_vip,
    }
    for client, contacts in _BY_CLIENT.items()
    for first, last, phone, last_order, is_vip in contacts
}
