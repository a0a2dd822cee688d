"""The agency's invented clients, and the people who look after them.

Airtable sends numbers as JavaScript computes them, so some have more digits than people typed.
"""

from typing import Any

from sandbox.airtable.common.ids import stable_id

BAKERY = "Bakkerij Zonnegloed"
DENTIST = "Tandartsen Lindenhof"
BICYCLES = "Fietsatelier Wielewaal"
NOTARY = "Étude Delvaux-Roy"
ESTATE_AGENT = "Immo Drie Torens"
HEATING = "Heizung Vennblick"

PEOPLE = {
    "Hanne Verlinde": {
        "Name": "Hanne Verlinde",
        "Email": "hanne@klokke.example",
        "Phone": "+32 468 90 20 01",
    },
    "Youssef Amrani": {
        "Name": "Youssef Amrani",
        "Email": "youssef@klokke.example",
        "Phone": "0468 90 20 02",
    },
    "Margaux Petit": {
        "Name": "Margaux Petit",
        "Email": "margaux@klokke.example",
        "Phone": "0468/90.20.03",
    },
    "Joris De Wilde": {"Name": "Joris De Wilde", "Email": "joris@klokke.example"},
}


def _logo(file: str, size: int) -> list[dict[str, Any]]:
    return [
        {
            "id": stable_id("att", file),
            "url": f"https://files.klokke.example/{file}",
            "filename": file,
            "size": size,
            "type": "image/png",
            "width": 320,
            "height": 120,
        }
    ]


CLIENTS: dict[str, dict[str, Any]] = {
    BAKERY: {
        "Company name": BAKERY,
        "Language": "Dutch",
        "Reception": "09 396 21 01",
        "VAT": 0.060000000000000005,
        "Discount": 0.07500000000000001,
        "Monthly fee": 29.990000000000002,
        "Calls a day": 14.299999999999999,
        "Contact person": ["Hanne Verlinde"],
        "Backup person": ["Youssef Amrani"],
        "Logo": _logo("zonnegloed.png", 18230),
    },
    DENTIST: {
        "Company name": DENTIST,
        "Language": "Dutch",
        "Reception": "+32 9 396 21 02",
        "VAT": 0.21,
        "Monthly fee": 89.5,
        "Calls a day": 31,
        "Contact person": ["Youssef Amrani"],
        "Backup person": ["Hanne Verlinde"],
        "Logo": _logo("lindenhof.png", 9412),
    },
    BICYCLES: {
        "Company name": BICYCLES,
        "Language": "Dutch",
        "Reception": "09/396.21.03",
        "VAT": 0.21,
        "Discount": 0.1,
        "Monthly fee": 49.949999999999996,
        "Calls a day": 8.100000000000001,
        "Contact person": ["Hanne Verlinde"],
    },
    NOTARY: {
        "Company name": NOTARY,
        "Language": "French",
        "Reception": "069 39 21 04",
        "VAT": 0.21,
        "Monthly fee": 149,
        "Calls a day": 22.400000000000002,
        "Contact person": ["Margaux Petit"],
        "Backup person": ["Joris De Wilde"],
    },
    ESTATE_AGENT: {
        "Company name": ESTATE_AGENT,
        "Language": "English",
        "Reception": "0032 9 396 21 05",
        "VAT": 0.21,
        "Discount": 0.125,
        "Monthly fee": 119.99000000000001,
        "Calls a day": 40.5,
        "Contact person": ["Joris De Wilde"],
        "Backup person": ["Margaux Petit"],
    },
    HEATING: {
        "Company name": HEATING,
        "Language": "German",
        "Reception": "087 39 21 06",
        "VAT": 0.21,
        "Monthly fee": 64.9,
        "Calls a day": 5.6000000000000005,
        "Contact person": ["Margaux Petit"],
        "Backup person": ["Hanne Verlinde"],
    },
}
