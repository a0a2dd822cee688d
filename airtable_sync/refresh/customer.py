"""The customer's name in a config, for people: the mapping has no such notion."""

from collections.abc import Mapping

_USUAL = ("customer_name", "client_name", "company_name", "company", "name")
_MAX_LENGTH = 80


def customer_of(variables: Mapping[str, str]) -> str:
    """The variable that is usually the customer's name, else the first that ends in "name" and is
    not the agent's. Empty if there is none."""
    by_name = {_plain(name): text for name, text in variables.items() if text}
    named = (
        text for name, text in by_name.items() if name.endswith("name") and "agent" not in name
    )
    usual = (by_name[name] for name in _USUAL if name in by_name)
    found = next(usual, "") or next(named, "")
    return found if len(found) <= _MAX_LENGTH else f"{found[: _MAX_LENGTH - 1]}…"


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")
