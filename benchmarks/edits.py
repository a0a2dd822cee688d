"""Edits of every kind that people make in the sample base, each with what callers of a number are
told afterwards."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sandbox.airtable.bases import Base
from sandbox.airtable.schema import Field

NUMBER = "+32460234291"
Told = dict[str, str] | None  # None: the number is unknown
Holds = Callable[[Told], bool]


@dataclass
class Edits:
    """About John Doe, whom the sample base holds."""

    base: Base
    count: int = 0
    made: dict[str, str] = field(default_factory=dict)

    def each(self, times: int) -> Iterator[tuple[str, str, Holds]]:
        """The kind of an edit that was just made, the number it is about, and what holds when it
        is live."""
        for kind in itertools.islice(itertools.cycle(self._kinds()), times):
            self.count += 1
            number, holds = kind()
            yield kind.__name__, number, holds

    def _kinds(self) -> list[Callable[[], tuple[str, Holds]]]:
        return [
            self.a_variable,
            self.typing,
            self.an_agent,
            self.a_new_number,
            self.its_number_changed,
            self.its_client_taken_away,
            self.its_client_given_back,
            self.its_number_cleared,
            self.its_number_typed,
            self.its_row_deleted,
            self.another_client,
            self.the_first_client,
            self.one_agent_more,
            self.that_agent_deleted,
            self.several_at_once,
            self.a_number_of_its_own,
            self.its_client_deleted,
            self.a_field_more,
            self.a_field_less,
        ]

    def a_variable(self) -> tuple[str, Holds]:
        return self._named(self._word())

    def typing(self) -> tuple[str, Holds]:
        """Airtable saves with every key."""
        word = self._word()
        for end in range(1, len(word)):
            self._named(word[:end])
            time.sleep(0.05)
        return self._named(word)

    def an_agent(self) -> tuple[str, Holds]:
        [row, *_] = self._cell("client", self._client, "language_agent_names")
        self._update("language_agent_names", row, {"key_pair": f"nl-be_agent_name = {self.count}"})
        return NUMBER, lambda told: told is not None and told["nl-be_agent_name"] == str(self.count)

    def a_new_number(self) -> tuple[str, Holds]:
        cells = {"twilio_number": self._number(), "client": [self._client]}
        self.made["row"] = self.base.table("twilio_number").create(cells).id
        return self._number(), _is_known

    def its_number_changed(self) -> tuple[str, Holds]:
        self._update("twilio_number", self.made["row"], {"twilio_number": self._number()})
        return self._number(), _is_known

    def its_client_taken_away(self) -> tuple[str, Holds]:
        self._update("twilio_number", self.made["row"], {"client": []})
        return self._number(-1), _is_unknown

    def its_client_given_back(self) -> tuple[str, Holds]:
        self._update("twilio_number", self.made["row"], {"client": [self._client]})
        return self._number(-2), _is_known

    def its_number_cleared(self) -> tuple[str, Holds]:
        self._update("twilio_number", self.made["row"], {"twilio_number": None})
        return self._number(-3), _is_unknown

    def its_number_typed(self) -> tuple[str, Holds]:
        self._update("twilio_number", self.made["row"], {"twilio_number": self._number()})
        return self._number(), _is_known

    def its_row_deleted(self) -> tuple[str, Holds]:
        self.base.table("twilio_number").delete(self.made["row"])
        return self._number(-1), _is_unknown

    def another_client(self) -> tuple[str, Holds]:
        word = self._word()
        variables = self.base.table("dynamic_variables").create({"customer_name": word})
        cells = {"name": word, "dynamic_variables": [variables.id]}
        self.made |= {
            "first": self._client,
            "variables": self._variables,
            "client": self.base.table("client").create(cells).id,
        }
        self._update("twilio_number", self._row, {"client": [self.made["client"]]})
        return NUMBER, lambda told: told is not None and told["customer_name"] == word

    def the_first_client(self) -> tuple[str, Holds]:
        self._update("twilio_number", self._row, {"client": [self.made["first"]]})
        return NUMBER, lambda told: told is not None and "nl-be_agent_name" in told

    def one_agent_more(self) -> tuple[str, Holds]:
        agents = self._cell("client", self._client, "language_agent_names")
        cells = {"key_pair": "fr_agent_name = Zoé"}
        self.made["agent"] = self.base.table("language_agent_names").create(cells).id
        links = [*agents, self.made["agent"]]
        self._update("client", self._client, {"language_agent_names": links})
        return NUMBER, lambda told: told is not None and told.get("fr_agent_name") == "Zoé"

    def that_agent_deleted(self) -> tuple[str, Holds]:
        self.base.table("language_agent_names").delete(self.made["agent"])
        return NUMBER, lambda told: told is not None and "fr_agent_name" not in told

    def several_at_once(self) -> tuple[str, Holds]:
        with self.base.action("automation"):
            for row in list(self.base.table("dynamic_variables").records)[1:3]:
                self._update("dynamic_variables", row, {"account_type": "basic"})
            return self._named(self._word())

    def a_number_of_its_own(self) -> tuple[str, Holds]:
        cells = {"twilio_number": self._number(), "client": [self.made["client"]]}
        self.base.table("twilio_number").create(cells)
        return self._number(), _is_known

    def its_client_deleted(self) -> tuple[str, Holds]:
        self.base.table("client").delete(self.made["client"])
        return self._number(-1), _is_unknown

    def a_field_more(self) -> tuple[str, Holds]:
        self.base.table("dynamic_variables").add_field(Field("mood"))
        return NUMBER, lambda told: told is not None and "mood" in told

    def a_field_less(self) -> tuple[str, Holds]:
        self.base.table("dynamic_variables").remove_field("mood")
        return NUMBER, lambda told: told is not None and "mood" not in told

    def _named(self, name: str) -> tuple[str, Holds]:
        self._update("dynamic_variables", self._variables, {"customer_name": name})
        return NUMBER, lambda told: told is not None and told["customer_name"] == name

    def _word(self) -> str:
        return f"Jane {self.count}"

    def _number(self, before: int = 0) -> str:
        return f"+32475{self.count + before:06}"

    @property
    def _row(self) -> str:
        rows = self.base.table("twilio_number")
        return next(r for r in rows.records if "234291" in _digits(rows.values(r)))

    @property
    def _client(self) -> str:
        return str(self._cell("twilio_number", self._row, "client")[0])

    @property
    def _variables(self) -> str:
        return str(self._cell("client", self._client, "dynamic_variables")[0])

    def _cell(self, table: str, row: str, name: str) -> list[str]:
        return list(self.base.table(table).values(row)[name])

    def _update(self, table: str, row: str, cells: dict[str, object]) -> None:
        self.base.table(table).update(row, cells)


def _digits(cells: dict[str, object]) -> str:
    return str(cells.get("twilio_number", "")).replace(" ", "")


def _is_known(told: Told) -> bool:
    return told is not None


def _is_unknown(told: Told) -> bool:
    return told is None
