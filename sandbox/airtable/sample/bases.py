"""Sample bases in Siftly's two layouts: four linked tables, and one flat table.

Each call makes a new base. The ids and times are the same in every run.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.airtable.common.ids import stable_id
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample.customers import CUSTOMERS, Customer
from sandbox.airtable.sample.stable_schema import make_choices, make_field, make_link, make_table

LINKED_BASE_ID = "appSiftlySandbox0"
FLAT_BASE_ID = "appSiftlySandbox1"
FIRST_CREATED = datetime(2024, 3, 4, 9, 0, tzinfo=UTC)
LANGUAGES = ("Dutch", "French", "German", "English")
ACCOUNTS = ("basic", "standard", "premium")


def linked_base() -> Base:
    base = empty_linked_base()
    for customer in CUSTOMERS:
        _add_linked(base, customer)
    return base


def empty_linked_base() -> Base:
    return Base(
        LINKED_BASE_ID,
        "Siftly",
        [_twilio_number(), _client(), _dynamic_variables(), _language_agent_names()],
    )


def empty_flat_base() -> Base:
    pairs = [pair for customer in CUSTOMERS for pair in customer.agents]
    names = dict.fromkeys(pair.partition(" = ")[0] for pair in pairs)
    fields = [make_field("customers", "to_number", "phoneNumber"), *_variable_fields("customers")]
    fields += [make_field("customers", name) for name in names]
    return Base(FLAT_BASE_ID, "Siftly, flat", [make_table("customers", fields)])


def flat_base() -> Base:
    base = empty_flat_base()
    for customer in CUSTOMERS:
        agents = dict(pair.split(" = ", 1) for pair in customer.agents)
        _add(
            base,
            "customers",
            customer,
            {"to_number": customer.number} | _variables(customer) | agents,
        )
    return base


def _twilio_number() -> Table:
    name = "twilio_number"
    fields = [make_field(name, "twilio_number", "phoneNumber"), make_link(name, "client", "client")]
    return make_table(name, fields)


def _client() -> Table:
    fields = [
        make_field("client", "name"),
        make_link("client", "dynamic_variables", "dynamic_variables", inverse="client"),
        make_link("client", "language_agent_names", "language_agent_names", single=False),
    ]
    return make_table("client", fields)


def _dynamic_variables() -> Table:
    """preferred_agent_id and twilio_connect_url are settings of a number, not variables."""
    name = "dynamic_variables"
    fields = [
        make_field(name, "name"),
        make_field(name, "client_dynamic_variables_id", "autoNumber"),
        make_link(name, "client", "client", inverse="dynamic_variables"),
        *_variable_fields(name),
        make_field(name, "preferred_agent_id"),
        make_field(name, "twilio_connect_url", "url"),
    ]
    return make_table(name, fields)


def _language_agent_names() -> Table:
    return make_table("language_agent_names", [make_field("language_agent_names", "key_pair")])


def _variable_fields(table: str) -> list[Field]:
    return [
        make_field(table, "customer_name"),
        make_field(table, "preferred_language", "singleSelect", make_choices(LANGUAGES)),
        make_field(table, "account_type", "singleSelect", make_choices(ACCOUNTS)),
    ]


def _add_linked(base: Base, customer: Customer) -> None:
    variables = {"name": f"{customer.name} variables"} | _variables(customer)
    variables["preferred_agent_id"] = customer.agent_id
    variables_id = _add(base, "dynamic_variables", customer, variables)
    agents = [
        _add(base, "language_agent_names", customer, {"key_pair": pair}, pair)
        for pair in customer.agents
    ]
    client = {
        "name": customer.name,
        "dynamic_variables": [variables_id],
        "language_agent_names": agents,
    }
    client_id = _add(base, "client", customer, client)
    _add(
        base,
        "twilio_number",
        customer,
        {"twilio_number": customer.number, "client": [client_id]},
    )


def _variables(customer: Customer) -> dict[str, Any]:
    return {
        "customer_name": customer.name,
        "preferred_language": customer.language,
        "account_type": customer.account,
    }


def _add(
    base: Base, table: str, customer: Customer, fields: Mapping[str, Any], part: str = ""
) -> str:
    """Creates a record. Its id depends on the base, the table, the customer and `part`."""
    record_id = stable_id("rec", f"{base.id}/{table}/{customer.number}/{part}")
    created = FIRST_CREATED + timedelta(days=CUSTOMERS.index(customer))
    return base.table(table).create(fields, id=record_id, created_time=created).id
