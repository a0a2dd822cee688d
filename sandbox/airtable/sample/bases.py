"""Sample bases in Siftly's two layouts: four linked tables, and one flat table.

Each call makes a new base. The ids and times are the same in every run.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.airtable.common.ids import stable_id
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import LINK, Field, View
from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample.customers import CUSTOMERS, Customer

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


def flat_base() -> Base:
    pairs = [pair for customer in CUSTOMERS for pair in customer.agents]
    names = dict.fromkeys(pair.partition(" = ")[0] for pair in pairs)
    fields = [_field("customers", "to_number", "phoneNumber"), *_variable_fields("customers")]
    fields += [_field("customers", name) for name in names]
    base = Base(FLAT_BASE_ID, "Siftly, flat", [_table("customers", fields)])
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
    fields = [_field(name, "twilio_number", "phoneNumber"), _link(name, "client", "client")]
    return _table(name, fields)


def _client() -> Table:
    fields = [
        _field("client", "name"),
        _link("client", "dynamic_variables", "dynamic_variables", inverse="client"),
        _link("client", "language_agent_names", "language_agent_names", single=False),
    ]
    return _table("client", fields)


def _dynamic_variables() -> Table:
    """preferred_agent_id and twilio_connect_url are settings of a number, not variables."""
    name = "dynamic_variables"
    fields = [
        _field(name, "name"),
        _field(name, "client_dynamic_variables_id", "autoNumber"),
        _link(name, "client", "client", inverse="dynamic_variables"),
        *_variable_fields(name),
        _field(name, "preferred_agent_id"),
        _field(name, "twilio_connect_url", "url"),
    ]
    return _table(name, fields)


def _language_agent_names() -> Table:
    return _table("language_agent_names", [_field("language_agent_names", "key_pair")])


def _variable_fields(table: str) -> list[Field]:
    return [
        _field(table, "customer_name"),
        _field(table, "preferred_language", "singleSelect", _choices(LANGUAGES)),
        _field(table, "account_type", "singleSelect", _choices(ACCOUNTS)),
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


def _table(name: str, fields: list[Field]) -> Table:
    view = View(id=stable_id("viw", f"{name}/Grid view"))
    return Table(name, fields, id=stable_id("tbl", name), views=[view])


def _field(
    table: str, name: str, kind: str = "singleLineText", options: dict[str, Any] | None = None
) -> Field:
    return Field(name, kind, stable_id("fld", f"{table}/{name}"), options or {})


def _link(table: str, name: str, to: str, *, inverse: str = "", single: bool = True) -> Field:
    options = {"prefersSingleRecordLink": single}
    return Field(name, LINK, stable_id("fld", f"{table}/{name}"), options, to, inverse)


def _choices(names: tuple[str, ...]) -> dict[str, Any]:
    return {"choices": [{"id": stable_id("sel", name), "name": name} for name in names]}
