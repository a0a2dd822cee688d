"""The processes that answer calls from these keys, what they were set up with, and whether their
replicas are in sync."""

import json
import os
import socket
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from interlock import CircuitBreaker

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.replica import Replica
from airtable_sync.redis_client.scripts import ScriptCall, load_script, pairs_with_scores

HEARTBEAT_SECONDS = 60.0
VALID_SECONDS = 150.0  # without a heartbeat
_HEARTBEATS, _STATES = _KEYS = ("processes", "process_states")
_SCRIPT = load_script(__file__, "process.lua")


@dataclass(frozen=True, slots=True)
class Process:
    id: str
    host: str
    pid: int
    version: str  # the commit; "" if unknown
    mapping: str  # what an operator knows it by
    fingerprint: str  # of the mapping and the served numbers; "" if the mapping can't be read
    started_at: datetime
    last_heartbeat_at: datetime
    entries: int
    bytes: int
    complete: bool  # the replica has all entries, not only those that were called
    in_sync: bool
    circuit_breakers: dict[str, str]  # name -> closed, open or half_open

    def __str__(self) -> str:
        since = f"{self.started_at:%Y-%m-%d %H:%M} UTC"
        return f"{self.host}, process {self.pid}, since {since}, mapping {self.mapping}"


class Heartbeat:
    """Tells Redis once a minute that this process is alive, and at once when its state changes.
    `mapping` returns the mapping's description and its fingerprint."""

    def __init__(
        self,
        process_id: str,
        replica: Replica,
        circuit_breakers: Sequence[CircuitBreaker],
        version: str,
        mapping: Callable[[], tuple[str, str]],
    ) -> None:
        self._process_id = process_id
        self._replica = replica
        self._circuit_breakers = circuit_breakers
        self._version = version
        self._mapping = mapping
        self._started_at = time.time()
        self._sent: dict[str, Any] = {}
        self._sent_at = 0.0
        self._sending: dict[str, Any] = {}

    def next_script(self) -> ScriptCall | None:
        state = asdict(self.process())
        important = {name: state[name] for name in ("in_sync", "complete", "circuit_breakers")}
        if important == self._sent and time.monotonic() < self._sent_at + HEARTBEAT_SECONDS:
            return None
        self._sending = important
        state |= {"started_at": self._started_at, "last_heartbeat_at": 0}
        return self._script_call(json.dumps(state))

    def arrived(self) -> None:
        self._sent, self._sent_at = self._sending, time.monotonic()

    def end_script(self) -> ScriptCall:
        """For the end of the process."""
        return self._script_call("")

    def process(self) -> Process:
        replica = self._replica
        mapping, fingerprint = self._mapping()
        return Process(
            id=self._process_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=self._version,
            mapping=mapping,
            fingerprint=fingerprint,
            started_at=datetime.fromtimestamp(self._started_at, UTC),
            last_heartbeat_at=datetime.now(UTC),
            entries=len(replica),
            bytes=replica.size_bytes,
            complete=replica.complete,
            in_sync=replica.in_sync,
            circuit_breakers={each.name: each.state.value for each in self._circuit_breakers},
        )

    def _script_call(self, state: str) -> ScriptCall:
        return ScriptCall(_SCRIPT, _KEYS, [self._process_id, state, int(VALID_SECONDS * 1000)])


def processes_commands() -> tuple[tuple[str | int, ...], ...]:
    return ("ZRANGE", _HEARTBEATS, 0, -1, "WITHSCORES"), ("HGETALL", _STATES)


def live_processes(store: RedisStore) -> list[Process]:
    """Raises CacheUnavailable."""
    return decode_processes(*store.read_all(*processes_commands()))


def decode_processes(heartbeats: list[bytes], states: dict[bytes, bytes]) -> list[Process]:
    """The results of `processes_commands`. Skips processes without a recent heartbeat, which Redis
    removes only at the next one, and processes of a version that lacks a field."""
    oldest = time.time() - VALID_SECONDS
    found = [
        _process(state, ms / 1000)
        for id_, ms in pairs_with_scores(heartbeats)
        if id_ in states and ms / 1000 > oldest
        if len(state := known_fields(states[id_], Process.__slots__)) == len(Process.__slots__)
    ]
    return sorted(found, key=lambda each: (each.host, each.started_at))


def known_fields(raw: bytes, names: Collection[str]) -> dict[str, Any]:
    """The fields of these names in a JSON object. During a deploy, processes of another version
    write fields that are unknown here."""
    return {name: value for name, value in json.loads(raw).items() if name in names}


def _process(state: dict[str, Any], heartbeat_at: float) -> Process:
    moments = {
        "started_at": datetime.fromtimestamp(state["started_at"], UTC),
        "last_heartbeat_at": datetime.fromtimestamp(heartbeat_at, UTC),
    }
    return Process(**{**state, **moments})
