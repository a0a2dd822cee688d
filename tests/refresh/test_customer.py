"""The customer's name that people see beside a number."""

import pytest

from airtable_sync.refresh.customer import customer_of


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"agent_name": "Tom", "Customer Name": "John Doe", "name": "x"}, "John Doe"),
        ({"first_name": "Wim", "nl-be_agent_name": "Tom"}, "Wim"),
        ({"customer_name": "", "company": "Acme"}, "Acme"),
        ({"nl-be_agent_name": "Tom", "account_type": "premium"}, ""),
        ({}, ""),
        ({"name": "x" * 500}, "x" * 79 + "…"),
    ],
)
def test_a_config_has_the_name_of_its_customer(variables: dict[str, str], name: str) -> None:
    assert customer_of(variables) == name
