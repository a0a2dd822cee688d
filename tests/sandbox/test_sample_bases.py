"""The sample bases: 26 customers in two layouts. One of them is John Doe."""

from typing import Any

import phonenumbers

from sandbox.airtable.data.bases import Base
from sandbox.airtable.sample.bases import flat_base, linked_base

JOHN = "+32460234291"
JOHNS = {
    "customer_name": "John Doe",
    "preferred_language": "Dutch",
    "account_type": "premium",
    "nl-be_agent_name": "Tom",
}
NO_VARIABLES = {"name", "client_dynamic_variables_id", "client"}
SETTINGS = {"preferred_agent_id", "twilio_connect_url"}


def e164(typed: str) -> str:
    parsed = phonenumbers.parse(typed, "BE")
    assert phonenumbers.is_valid_number(parsed), typed
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def linked_configs(base: Base) -> dict[str, dict[str, Any]]:
    configs = {}
    for number_id in base.table("twilio_number").records:
        number = base.table("twilio_number").values(number_id)
        [client_id] = number["client"]
        client = base.table("client").values(client_id)
        [variables_id] = client["dynamic_variables"]
        config = base.table("dynamic_variables").values(variables_id)
        for agent_id in client["language_agent_names"]:
            pair = base.table("language_agent_names").values(agent_id)["key_pair"]
            key, value = pair.split(" = ", 1)
            config[key] = value
        configs[e164(number["twilio_number"])] = config
    return configs


def test_john_doe_has_the_documented_variables() -> None:
    john = linked_configs(linked_base())[JOHN]
    assert {key: value for key, value in john.items() if key not in NO_VARIABLES} == JOHNS


def test_there_are_26_complete_customers() -> None:
    configs = linked_configs(linked_base())
    assert len(configs) == 26
    for config in configs.values():
        assert config.keys() >= {"customer_name", "preferred_language", "account_type"}
        assert 1 <= sum(key.endswith("_agent_name") for key in config) <= 3
    assert sum("preferred_agent_id" in config for config in configs.values()) == 4


def test_the_variables_table_has_only_the_fields_of_the_layout() -> None:
    fields = {field.name for field in linked_base().table("dynamic_variables").fields}
    everyones = {"customer_name", "preferred_language", "account_type"}
    assert fields == NO_VARIABLES | SETTINGS | everyones


def test_the_flat_base_has_the_same_values() -> None:
    table = flat_base().table("customers")
    flat = {}
    for record_id in table.records:
        values = table.values(record_id)
        flat[e164(values.pop("to_number"))] = values
    left_out = NO_VARIABLES | SETTINGS
    linked = {
        number: {key: value for key, value in config.items() if key not in left_out}
        for number, config in linked_configs(linked_base()).items()
    }
    assert flat == linked


def test_each_call_makes_a_new_base_with_the_same_ids() -> None:
    first, second = linked_base(), linked_base()
    for one, other in zip(first.tables, second.tables, strict=True):
        assert one.id == other.id
        assert [field.id for field in one.fields] == [field.id for field in other.fields]
        assert list(one.records) == list(other.records)
    first.table("client").delete(next(iter(first.table("client").records)))
    assert len(second.table("client").records) == 26
