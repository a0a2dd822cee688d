"""The state of one sandbox, which its routes share."""

import random
from dataclasses import dataclass, field

from sandbox.airtable.api.iterators import RecordIterators
from sandbox.airtable.api.request_log import RequestLog
from sandbox.airtable.common.access import Token
from sandbox.airtable.common.clock import Clock
from sandbox.airtable.common.errors import model_not_found
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.tables import Table
from sandbox.airtable.faults.active_faults import ActiveFaults
from sandbox.airtable.faults.limits import Limits
from sandbox.airtable.webhooks.registry import Webhooks


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
    faults: ActiveFaults = field(default_factory=ActiveFaults)
    log: RequestLog = field(default_factory=RequestLog)

    def base(self, base_id: str) -> Base:
        """Raises AirtableError (403) if there is no such base."""
        if base_id not in self.bases:
            raise model_not_found()
        return self.bases[base_id]

    def table(self, base_id: str, name_or_id: str) -> Table:
        """Raises AirtableError (403) if there is no such table."""
        table = self.base(base_id).find_table(name_or_id)
        if table is None:
            raise model_not_found()
        return table

    def next_latency(self) -> float:
        """In seconds. With jitter, a random value from 0.5 to 1.5 times the latency."""
        return self.latency * random.uniform(0.5, 1.5) if self.latency_jitter else self.latency
