"""The processes that answer calls from these keys, what they were set up with, and whether their
replicas are in sync."""

import json
import os
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from interlock import CircuitBreaker

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.replica import Replica
from airtable_sync.redis_client.scripts import Command

HEARTBEAT_SECONDS = 60.0
VALID_SECONDS = 150.0  # without a heartbeat
_STATES = "process_states"  # hash: process id -> its state, as JSON


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

    def next_script(self) -> Command | None:
        state = asdict(self.process())
        important = {name: state[name] for name in ("in_sync", "complete", "circuit_breakers")}
        if important == self._sent and time.monotonic() < self._sent_at + HEARTBEAT_SECONDS:
            return None
        self._sending = important
        now = self._replica.now() / 1000  # by Redis' clock, which all processes share
        state |= {"started_at": self._started_at, "last_heartbeat_at": now}
        return Command("HSET", _STATES, [self._process_id, json.dumps(state)])

    def arrived(self) -> None:
        self._sent, self._sent_at = self._sending, time.monotonic()

    def end_command(self) -> Command:
        """For the end of the process."""
        return Command("HDEL", _STATES, [self._process_id])

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


PROCESSES_COMMAND: tuple[str | int, ...] = ("HGETALL", _STATES)


def live_processes(store: RedisStore) -> list[Process]:
    """Raises CacheUnavailable."""
    [states] = store.read_all(PROCESSES_COMMAND)
    return decode_processes(states)


def decode_processes(states: Mapping[bytes, bytes]) -> list[Process]:
    """The result of `PROCESSES_COMMAND`. Skips processes without a recent heartbeat, which stay in
    Redis until `forget_ended_processes`, and processes of a version that lacks a field."""
    found = [
        _process(state)
        for raw in states.values()
        if not _has_ended(raw)
        if len(state := known_fields(raw, Process.__slots__)) == len(Process.__slots__)
    ]
    return sorted(found, key=lambda each: (each.host, each.started_at))


def forget_ended_processes(store: RedisStore) -> None:
    """Remove those that ended without saying so. Raises CacheUnavailable."""
    [states] = store.read_all(PROCESSES_COMMAND)
    if ended := [process_id for process_id, raw in states.items() if _has_ended(raw)]:
        store.run_all([Command("HDEL", _STATES, ended)])


def known_fields(raw: bytes, names: Collection[str]) -> dict[str, Any]:
    """The fields of these names in a JSON object. During a deploy, processes of another version
    write fields that are unknown here."""
    return {name: value for name, value in json.loads(raw).items() if name in names}


def _has_ended(raw: bytes) -> bool:
    last_heartbeat_at: float = json.loads(raw).get("last_heartbeat_at", 0)
    return last_heartbeat_at < time.time() - VALID_SECONDS


def _process(state: dict[str, Any]) -> Process:
    names = ("started_at", "last_heartbeat_at")
    moments = {name: datetime.fromtimestamp(state[name], UTC) for name in names}
    return Process(**{**state, **moments})
