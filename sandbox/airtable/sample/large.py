"""A base of any size in the linked layout, with three records per called number."""

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample.bases import ACCOUNTS, LANGUAGES, empty_flat_base, empty_linked_base

NUMBERS_PER_CLIENT = 5 / 3
AGENTS_PER_NUMBER = 0.8


def large_base(numbers: int) -> Base:
    """`twilio_number` has `numbers` records, `client` and `dynamic_variables` 0.6 times as many,
    `language_agent_names` 0.8 times."""
    base = empty_linked_base()
    agents = _agents(base.table("language_agent_names"), int(numbers * AGENTS_PER_NUMBER))
    clients = _clients(base, int(numbers / NUMBERS_PER_CLIENT), agents)
    rows = base.table("twilio_number")
    for index in range(numbers):
        client = clients[index % len(clients)]
        rows.create({"twilio_number": number_of(index), "client": [client]})
    return base


def large_flat_base(numbers: int) -> Base:
    """One table, `customers`, with four variables for each number."""
    base = empty_flat_base()
    rows = base.table("customers")
    for index in range(numbers):
        rows.create(
            {
                "to_number": number_of(index),
                "customer_name": f"Customer {index}",
                "preferred_language": LANGUAGES[index % len(LANGUAGES)],
                "account_type": ACCOUNTS[index % len(ACCOUNTS)],
                "nl-be_agent_name": f"Agent {index}",
            }
        )
    return base


def number_of(index: int) -> str:
    """The called number, in E.164, of the record with this index."""
    return f"+3247{index:07}"


def _agents(table: Table, count: int) -> list[str]:
    pairs = (f"{language}-be_agent_name = " for language in ("nl", "fr", "de", "en") * count)
    return [
        table.create({"key_pair": f"{pair}Agent {index}"}).id
        for index, pair in zip(range(count), pairs, strict=False)
    ]


def _clients(base: Base, count: int, agents: list[str]) -> list[str]:
    """Each client has two agents of different languages. Clients share agents."""
    return [
        base.table("client")
        .create(
            {
                "name": f"Customer {index}",
                "dynamic_variables": [_variables(base.table("dynamic_variables"), index)],
                "language_agent_names": [agents[(index + next_) % len(agents)] for next_ in (0, 1)],
            }
        )
        .id
        for index in range(count)
    ]


def _variables(table: Table, index: int) -> str:
    row = {
        "name": f"Customer {index} variables",
        "customer_name": f"Customer {index}",
        "preferred_language": LANGUAGES[index % len(LANGUAGES)],
        "account_type": ACCOUNTS[index % len(ACCOUNTS)],
    }
    return table.create(row).id
