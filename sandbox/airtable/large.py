"""A base of any size in the linked layout: three records for each number, all in all."""

from sandbox.airtable.bases import Base, Table
from sandbox.airtable.sample import ACCOUNTS, LANGUAGES, empty_linked_base

NUMBERS_A_CLIENT = 5 / 3  # big customers have several
AGENTS_A_NUMBER = 0.8


def large_base(numbers: int) -> Base:
    """Records of `twilio_number`: `numbers`; of `client` and `dynamic_variables` 0.6 times as many;
    of `language_agent_names` 0.8 times."""
    base = empty_linked_base()
    agents = _agents(base.table("language_agent_names"), int(numbers * AGENTS_A_NUMBER))
    clients = _clients(base, int(numbers / NUMBERS_A_CLIENT), agents)
    rows = base.table("twilio_number")
    for index in range(numbers):
        client = clients[index % len(clients)]
        rows.create({"twilio_number": number_of(index), "client": [client]})
    return base


def number_of(index: int) -> str:
    """The called number of the record at this place, as it is written there: E.164."""
    return f"+3247{index:07}"


def _agents(table: Table, count: int) -> list[str]:
    pairs = (f"{language}-be_agent_name = " for language in ("nl", "fr", "de", "en") * count)
    return [
        table.create({"key_pair": f"{pair}Agent {index}"}).id
        for index, pair in zip(range(count), pairs, strict=False)
    ]


def _clients(base: Base, count: int, agents: list[str]) -> list[str]:
    """Each with two agents, of different languages; some agents serve several."""
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
