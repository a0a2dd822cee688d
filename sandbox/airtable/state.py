"""Everything one sandbox knows, shared by its routes."""

import random
from dataclasses import dataclass, field

from sandbox.airtable.access import Token
from sandbox.airtable.bases import Base, Table
from sandbox.airtable.errors import model_not_found
from sandbox.airtable.faults import Faults
from sandbox.airtable.iterators import RecordIterators
from sandbox.airtable.limits import Clock, Limits
from sandbox.airtable.request_log import RequestLog
from sandbox.airtable.webhooks.feed import Webhooks


@dataclass
class State:
    bases: dict[str, Base]
    tokens: list[Token]
    clock: Clock
    limits: Limits
    iterators: RecordIterators
    webhooks: Webhooks
    latency: float = 0.0
    latency_jitter: bool = False
    faults: Faults = field(default_factory=Faults)
    log: RequestLog = field(default_factory=RequestLog)

    def base(self, base_id: str) -> Base:
        if base_id not in self.bases:
            raise model_not_found()
        return self.bases[base_id]

    def table(self, base_id: str, name_or_id: str) -> Table:
        table = self.base(base_id).find_table(name_or_id)
        if table is None:
            raise model_not_found()
        return table

    def next_latency(self) -> float:
        """With jitter, from a half to one and a half of the latency set."""
        return self.latency * random.uniform(0.5, 1.5) if self.latency_jitter else self.latency
