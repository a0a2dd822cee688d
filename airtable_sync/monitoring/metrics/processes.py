"""The processes that answer calls: who lives, and whether its replica is in step."""

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from airtable_sync.airtable import circuit_breakers
from airtable_sync.cache.redis_store import TELEMETRY, Store
from airtable_sync.cache.replica import of_this_process
from airtable_sync.redis_client.scripts import Parcel, fields_of, load_script, with_scores

HEARTBEAT_SECONDS = 60.0
LIFE_SECONDS = 150.0  # without a heartbeat
NAMES = ("processes", "process_states")
_SCRIPT = load_script(__file__, "process.lua")


@dataclass(frozen=True, slots=True)
class Process:
    id: str
    host: str
    pid: int
    version: str  # the commit; empty where nobody tells
    started_at: datetime
    heard_at: datetime
    entries: int
    bytes: int
    complete: bool  # the replica holds all entries, not only those called for
    in_sync: bool
    breakers: dict[str, str]  # name -> closed, open or half_open


class Heartbeat:
    def __init__(self, process: str) -> None:
        self._process = process
        self._started_at = time.time()
        self._told: dict[str, Any] = {}
        self._told_at = 0.0
        self._telling: dict[str, Any] = {}

    def parcel(self) -> Parcel | None:
        """Once a minute; earlier if something happened that an operator wants to see."""
        state = asdict(self.process())
        worth_telling = {name: state[name] for name in ("in_sync", "complete", "breakers")}
        if worth_telling == self._told and time.monotonic() < self._told_at + HEARTBEAT_SECONDS:
            return None
        self._telling = worth_telling
        state |= {"started_at": self._started_at, "heard_at": 0}
        return self._parcel(json.dumps(state))

    def arrived(self) -> None:
        self._told, self._told_at = self._telling, time.monotonic()

    def farewell(self) -> Parcel:
        return self._parcel("")

    def process(self) -> Process:
        replica = of_this_process()
        return Process(
            id=self._process,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=settings.VERSION,
            started_at=datetime.fromtimestamp(self._started_at, UTC),
            heard_at=datetime.now(UTC),
            entries=len(replica),
            bytes=replica.bytes_held,
            complete=replica.complete,
            in_sync=replica.in_sync,
            breakers={
                each.name: each.state.value
                for each in (circuit_breakers.REDIS, circuit_breakers.AIRTABLE)
            },
        )

    def _parcel(self, state: str) -> Parcel:
        return Parcel(_SCRIPT, NAMES, [self._process, state, int(LIFE_SECONDS * 1000)])


def living(store: Store = TELEMETRY) -> list[Process]:
    """Raises CacheUnavailable."""
    return of_replies(*store.ask(*commands()))


def commands() -> tuple[tuple[str | int, ...], ...]:
    return ("ZRANGE", NAMES[0], 0, -1, "WITHSCORES"), ("HGETALL", NAMES[1])


def of_replies(heard: list[bytes], states: dict[bytes, bytes]) -> list[Process]:
    """Redis' answers to `commands`. Who was not heard of for a while is left out: it stands there
    until another process says that it lives."""
    gone = time.time() - LIFE_SECONDS
    found = [
        _process(fields_of(states[id_], Process.__slots__), ms / 1000)
        for id_, ms in with_scores(heard)
        if id_ in states and ms / 1000 > gone
    ]
    return sorted(found, key=lambda each: (each.host, each.started_at))


def _process(state: dict[str, Any], heard_at: float) -> Process:
    moments = {
        "started_at": datetime.fromtimestamp(state["started_at"], UTC),
        "heard_at": datetime.fromtimestamp(heard_at, UTC),
    }
    return Process(**{**state, **moments})
