"""Edits of all kinds that people make in the sample base, each with a condition for the variables
of a number after it."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field

NUMBER = "+32460234291"
Variables = dict[str, str] | None  # None: the number is unknown
Condition = Callable[[Variables], bool]


@dataclass
class Edits:
    """Edits of John Doe's records in the sample base, and of records that they add."""

    base: Base
    count: int = 0  # of the edits so far
    record_ids: dict[str, str] = field(default_factory=dict)

    def each(self, times: int) -> Iterator[tuple[str, str, Condition]]:
        """Make an edit at each step. Yields its kind, the called number that it changes, and the
        condition that the number's variables meet when the edit is live."""
        for edit in itertools.islice(itertools.cycle(self._edits()), times):
            self.count += 1
            number, is_live = edit()
            yield edit.__name__, number, is_live

    def _edits(self) -> list[Callable[[], tuple[str, Condition]]]:
        return [
            self.change_a_variable,
            self.type_a_variable,
            self.change_an_agent,
            self.add_a_number,
            self.change_that_number,
            self.unlink_its_client,
            self.link_its_client,
            self.clear_that_number,
            self.type_that_number,
            self.delete_its_record,
            self.link_another_client,
            self.link_the_first_client,
            self.add_an_agent,
            self.delete_that_agent,
            self.change_several_records,
            self.add_a_number_of_the_other_client,
            self.delete_that_client,
            self.add_a_field,
            self.remove_that_field,
        ]

    def change_a_variable(self) -> tuple[str, Condition]:
        return self._set_name(self._new_name())

    def type_a_variable(self) -> tuple[str, Condition]:
        """Airtable saves after every key."""
        name = self._new_name()
        for end in range(1, len(name)):
            self._set_name(name[:end])
            time.sleep(0.05)
        return self._set_name(name)

    def change_an_agent(self) -> tuple[str, Condition]:
        [record_id, *_] = self._cell("client", self._client, "language_agent_names")
        key_pair = f"nl-be_agent_name = {self.count}"
        self._update("language_agent_names", record_id, {"key_pair": key_pair})
        return NUMBER, _has_value("nl-be_agent_name", str(self.count))

    def add_a_number(self) -> tuple[str, Condition]:
        cells = {"twilio_number": self._number(), "client": [self._client]}
        self.record_ids["number"] = self.base.table("twilio_number").create(cells).id
        return self._number(), _is_known

    def change_that_number(self) -> tuple[str, Condition]:
        self._update("twilio_number", self.record_ids["number"], {"twilio_number": self._number()})
        return self._number(), _is_known

    def unlink_its_client(self) -> tuple[str, Condition]:
        self._update("twilio_number", self.record_ids["number"], {"client": []})
        return self._number(edits_ago=1), _is_unknown

    def link_its_client(self) -> tuple[str, Condition]:
        self._update("twilio_number", self.record_ids["number"], {"client": [self._client]})
        return self._number(edits_ago=2), _is_known

    def clear_that_number(self) -> tuple[str, Condition]:
        self._update("twilio_number", self.record_ids["number"], {"twilio_number": None})
        return self._number(edits_ago=3), _is_unknown

    def type_that_number(self) -> tuple[str, Condition]:
        self._update("twilio_number", self.record_ids["number"], {"twilio_number": self._number()})
        return self._number(), _is_known

    def delete_its_record(self) -> tuple[str, Condition]:
        self.base.table("twilio_number").delete(self.record_ids["number"])
        return self._number(edits_ago=1), _is_unknown

    def link_another_client(self) -> tuple[str, Condition]:
        name = self._new_name()
        variables = self.base.table("dynamic_variables").create({"customer_name": name})
        cells = {"name": name, "dynamic_variables": [variables.id]}
        self.record_ids |= {
            "first": self._client,
            "client": self.base.table("client").create(cells).id,
        }
        self._update("twilio_number", self._record, {"client": [self.record_ids["client"]]})
        return NUMBER, _has_value("customer_name", name)

    def link_the_first_client(self) -> tuple[str, Condition]:
        self._update("twilio_number", self._record, {"client": [self.record_ids["first"]]})
        return NUMBER, _contains("nl-be_agent_name")

    def add_an_agent(self) -> tuple[str, Condition]:
        agents = self._cell("client", self._client, "language_agent_names")
        cells = {"key_pair": "fr_agent_name = Zoé"}
        self.record_ids["agent"] = self.base.table("language_agent_names").create(cells).id
        links = [*agents, self.record_ids["agent"]]
        self._update("client", self._client, {"language_agent_names": links})
        return NUMBER, _has_value("fr_agent_name", "Zoé")

    def delete_that_agent(self) -> tuple[str, Condition]:
        self.base.table("language_agent_names").delete(self.record_ids["agent"])
        return NUMBER, _lacks("fr_agent_name")

    def change_several_records(self) -> tuple[str, Condition]:
        with self.base.transaction("automation"):
            for record_id in list(self.base.table("dynamic_variables").records)[1:3]:
                self._update("dynamic_variables", record_id, {"account_type": "basic"})
            return self._set_name(self._new_name())

    def add_a_number_of_the_other_client(self) -> tuple[str, Condition]:
        cells = {"twilio_number": self._number(), "client": [self.record_ids["client"]]}
        self.base.table("twilio_number").create(cells)
        return self._number(), _is_known

    def delete_that_client(self) -> tuple[str, Condition]:
        self.base.table("client").delete(self.record_ids["client"])
        return self._number(edits_ago=1), _is_unknown

    def add_a_field(self) -> tuple[str, Condition]:
        self.base.table("dynamic_variables").add_field(Field("mood"))
        return NUMBER, _contains("mood")

    def remove_that_field(self) -> tuple[str, Condition]:
        self.base.table("dynamic_variables").remove_field("mood")
        return NUMBER, _lacks("mood")

    def _set_name(self, name: str) -> tuple[str, Condition]:
        self._update("dynamic_variables", self._variables, {"customer_name": name})
        return NUMBER, _has_value("customer_name", name)

    def _new_name(self) -> str:
        return f"Jane {self.count}"

    def _number(self, edits_ago: int = 0) -> str:
        """The number that this edit, or an earlier one, adds."""
        return f"+32475{self.count - edits_ago:06}"

    @property
    def _record(self) -> str:
        rows = self.base.table("twilio_number")
        return next(r for r in rows.records if "234291" in _digits(rows.values(r)))

    @property
    def _client(self) -> str:
        return str(self._cell("twilio_number", self._record, "client")[0])

    @property
    def _variables(self) -> str:
        return str(self._cell("client", self._client, "dynamic_variables")[0])

    def _cell(self, table: str, record_id: str, name: str) -> list[str]:
        return list(self.base.table(table).values(record_id)[name])

    def _update(self, table: str, record_id: str, cells: dict[str, object]) -> None:
        self.base.table(table).update(record_id, cells)


def _digits(cells: dict[str, object]) -> str:
    return str(cells.get("twilio_number", "")).replace(" ", "")


def _is_known(variables: Variables) -> bool:
    return variables is not None


def _is_unknown(variables: Variables) -> bool:
    return variables is None


def _has_value(name: str, value: str) -> Condition:
    return lambda variables: variables is not None and variables.get(name) == value


def _contains(name: str) -> Condition:
    return lambda variables: variables is not None and name in variables


def _lacks(name: str) -> Condition:
    return lambda variables: variables is not None and name not in variables
