"""The invented customers of the sample bases. Their numbers are written as people type them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Customer:
    number: str
    name: str
    language: str
    account: str
    agents: tuple[str, ...]
    """Pairs "key = value", as in the table language_agent_names."""
    agent_id: str = ""


def _agents(**names: str) -> tuple[str, ...]:
    """nl_be="Tom" becomes "nl-be_agent_name = Tom"."""
    return tuple(
        f"{language.replace('_', '-')}_agent_name = {name}" for language, name in names.items()
    )


CUSTOMERS = (
    Customer("+32 460 23 42 91", "John Doe", "Dutch", "premium", _agents(nl_be="Tom")),
    Customer(
        "0460 23 42 92",
        "Bakkerij De Korenaar",
        "Dutch",
        "basic",
        _agents(nl_be="Lotte", fr_be="Camille"),
    ),
    Customer(
        "+32 (0)2 555 12 34",
        "Notariaat Wouters & Lemmens",
        "Dutch",
        "premium",
        _agents(nl_be="Pieter", fr_be="Élise", en_gb="Harry"),
        "agent_notary_brussels",
    ),
    Customer("0032 3 233 45 67", "Fietsen Maes", "Dutch", "basic", _agents(nl_be="Jef")),
    Customer("09 225 36 47", "Tandartspraktijk Leie", "Dutch", "standard", _agents(nl_be="An")),
    Customer(
        "+32 4 222.33.44",
        "Boulangerie O'Malley",
        "French",
        "standard",
        _agents(fr_be="Luc", en_gb="Emily"),
    ),
    Customer("081/22.33.44", "Garage Dufour", "French", "basic", _agents(fr_be="Nadia")),
    Customer(
        "0032 475 12 34 56",
        "Immo Sambre",
        "French",
        "premium",
        _agents(fr_be="Olivier", nl_be="Sofie"),
        "agent_immo_sambre",
    ),
    Customer("087 55 66 77", "Apotheke am Markt", "German", "standard", _agents(de_be="Jonas")),
    Customer(
        "+31 (0)20 794 61 23",
        "Grachten Juristen",
        "Dutch",
        "premium",
        _agents(nl_nl="Sanne", en_gb="Oliver"),
    ),
    Customer("0031 6 12345678", "Loodgieter Van Dijk", "Dutch", "basic", _agents(nl_nl="Bram")),
    Customer(
        "+31-10-234-5678", "Havenlogistiek Rotterdam", "Dutch", "standard", _agents(nl_nl="Femke")
    ),
    Customer(
        "+33 1 42 68 53 00",
        "Cabinet Moreau",
        "French",
        "premium",
        _agents(fr_fr="Chloé", en_gb="James"),
        "agent_cabinet_moreau",
    ),
    Customer("+33.4.78.42.10.55", "Traiteur Lyonnais", "French", "basic", _agents(fr_fr="Hugo")),
    Customer("0033 6 12 34 56 78", "Plomberie Girard", "French", "basic", _agents(fr_fr="Inès")),
    Customer(
        "+49 (0)30 2312 5678",
        "Steuerbüro Schäfer",
        "German",
        "premium",
        _agents(de_de="Lena", en_gb="Charlotte"),
    ),
    Customer("0049 89 1234 5678", "Autohaus Krüger", "German", "standard", _agents(de_de="Felix")),
    Customer("+49 151 23456789", "Yogastudio Linden", "German", "basic", _agents(de_de="Mia")),
    Customer(
        "+44 (0)20 7946 0123",
        "Baker Street Lettings",
        "English",
        "premium",
        _agents(en_gb="Amelia", fr_fr="Louis"),
    ),
    Customer("+44 161 496 0456", "Pennine Plumbing", "English", "basic", _agents(en_gb="George")),
    Customer(
        "0044 131 496 0789", "Lothian Dental Care", "English", "standard", _agents(en_gb="Isla")
    ),
    Customer(
        "+1 (415) 555-2671",
        "Golden Gate Bicycles",
        "English",
        "standard",
        _agents(en_us="Ava", es_us="Mateo"),
    ),
    Customer(
        "+1 212-555-0187",
        "Hudson Legal Group",
        "English",
        "premium",
        _agents(en_us="Noah", es_us="Lucía", fr_fr="Gabriel"),
        "agent_hudson_legal",
    ),
    Customer("001 312 555 0142", "Lakeshore Heating", "English", "basic", _agents(en_us="Emma")),
    Customer(
        "016 23 45 67",
        "Café 't Hoekske",
        "Dutch",
        "basic",
        _agents(nl_be="Wannes", en_gb="Sophie"),
    ),
    Customer(
        "+32.11.22.33.44",
        "Hasselt Hoveniers",
        "Dutch",
        "standard",
        _agents(nl_be="Bert", fr_be="Manon", de_be="Klara"),
    ),
)
