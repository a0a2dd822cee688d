"""Entries in Redis: one per called number, written by one script (`publish.lua`)."""

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, NamedTuple, cast

from interlock import CircuitBreaker

from airtable_sync.cache import keys, record_index
from airtable_sync.cache.chunks import READS_PER_ROUND_TRIP, chunks
from airtable_sync.cache.entry import (
    EncodedEntry,
    Entry,
    entry_from_bytes,
    entry_from_json,
    warn_about_unreadable_value,
)
from airtable_sync.cache.keys import entry_key
from airtable_sync.cache.lifetimes import Lifetimes
from airtable_sync.cache.redis_index import RedisIndex
from airtable_sync.redis_client.connection import CacheUnavailable, RedisConnection
from airtable_sync.redis_client.namespace import Namespace
from airtable_sync.redis_client.scripts import ScriptCall, load_script

Outcome = Literal["added", "changed", "unchanged", "removed", "unknown", "older"]

# About 200 KB a request, as for reads. Some Redis services limit a request to a megabyte.
ENTRIES_PER_WRITE, BYTES_PER_WRITE = 640, 800_000
WRITES_PER_ROUND_TRIP = 2
_PUBLISH = record_index.FUNCTIONS + load_script(__file__, "publish.lua")
_REPLICA_STATE = load_script(__file__, "replica_state.lua")
_PUBLISH_KEYS = (
    keys.INDEX,
    keys.SEQUENCE,
    keys.EPOCH,
    keys.PAUSED_BY,
    keys.LAST_REFRESH,
    keys.KNOWN_NUMBERS,
    keys.RECORD_INDEX,
)
_REPLICA_STATE_KEYS = (
    keys.INDEX,
    keys.EPOCH,
    keys.CONFIRMED_AT,
    keys.PAUSED_BY,
    keys.IN_SYNC_UNTIL,
    keys.KNOWN_NUMBERS,
)


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What a replica compares itself with. Times in milliseconds by Redis' clock."""

    epoch: str  # empty for an empty Redis
    confirmed_at: int
    now: int
    paused: bool
    in_sync_until: int  # by the change feed
    numbers: int  # that have a config
    lists_all_numbers: bool  # `changed` holds every number
    changed: list[str]
    sequence: int  # of the newest change


class Watched(NamedTuple):
    """What tells, with one command, whether a replica has to be compared. Times in milliseconds."""

    epoch: str
    sequence: int
    paused: bool
    confirmed_at: int
    in_sync_until: int


class WriteResult(NamedTuple):
    """What writing an entry did, and the entry that it replaced, if that was different."""

    entry: EncodedEntry
    outcome: Outcome
    before: Entry | None


class RedisStore(RedisIndex):
    """Every method raises CacheUnavailable."""

    def __init__(
        self,
        alias: str,
        namespace: Namespace,
        lifetimes: Lifetimes,
        *,
        is_configured: bool,
        circuit_breaker: CircuitBreaker | None = None,
    ) -> None:
        super().__init__(
            alias, namespace, is_configured=is_configured, circuit_breaker=circuit_breaker
        )
        self.lifetimes = lifetimes

    def of_generation(self, generation: str) -> "RedisStore":
        """The same store for the set of another mapping."""
        return RedisStore(
            self.alias,
            replace(self.namespace, generation=generation),
            self.lifetimes,
            is_configured=self._is_configured,
            circuit_breaker=self._circuit_breaker,
        )

    def read(self, number: str) -> Entry | None:
        try:
            value = self.get(entry_key(number))
            return None if value is None else entry_from_json(number, value)
        except (ValueError, RecursionError) as error:
            warn_about_unreadable_value(number, error)
            return None

    def read_many(self, numbers: Iterable[str]) -> Iterator[Entry]:
        """The entries that exist."""
        for chunk in chunks(numbers):
            try:
                by_key = {self.namespace.key(entry_key(number)): number for number in chunk}
                with self._translated_errors():
                    values = self._cache.get_many(by_key)
                entries = [entry_from_json(by_key[key], value) for key, value in values.items()]
            except (ValueError, RecursionError):  # one of them can't be read: find it
                entries = [entry for number in chunk if (entry := self.read(number))]
            yield from entries

    def read_raw(self, numbers: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """The bytes of entries as Redis keeps them."""
        for group in chunks(chunks(numbers), READS_PER_ROUND_TRIP):
            with self._translated_errors():
                pipeline = self._redis.pipeline(transaction=False)
                for chunk in group:
                    pipeline.mget([self.full_key(entry_key(number)) for number in chunk])
                answers = pipeline.execute()
            for chunk, values in zip(group, answers, strict=True):
                yield from zip(chunk, values, strict=True)

    def write(self, entries: Iterable[Entry], *, announce_unchanged: bool) -> dict[str, Outcome]:
        """Write entries and notify the replicas; the newer reading of each number wins. With
        `announce_unchanged` the replicas are also notified of an unchanged entry: it is fresh
        again."""
        outcomes: dict[str, Outcome] = {}
        for chunk in _chunks_to_write(entry.encoded() for entry in entries):
            call = self._publish_call(chunk, self.full_key(keys.CHANNEL), announce_unchanged)
            results = _write_results(chunk, self.run_script(*call))
            outcomes.update((each.entry.number, each.outcome) for each in results)
        return outcomes

    def write_silently(self, entries: Iterable[EncodedEntry]) -> Iterator[WriteResult]:
        """Write many entries, pipelined and without a notification, while iterated."""
        chunks_to_write = _chunks_to_write(entries)
        while group := list(islice(chunks_to_write, WRITES_PER_ROUND_TRIP)):
            answers = self.run_all(self._publish_call(chunk, "", False) for chunk in group)
            for chunk, answer in zip(group, answers, strict=True):
                yield from _write_results(chunk, answer)

    def replica_state(self, epoch: str, sequence: int) -> ReplicaState:
        """What changed since this sequence of this epoch; everything after another epoch."""
        found, confirmed_at, now, paused, in_sync_until, numbers, complete, changed = (
            self.run_script(_REPLICA_STATE, _REPLICA_STATE_KEYS, [epoch, sequence])
        )
        lists_all_numbers = complete == b"1"
        sequences = [int(float(each)) for each in changed[1::2]]
        return ReplicaState(
            epoch=found.decode(),
            confirmed_at=int(confirmed_at),
            now=int(now),
            paused=paused == 1,
            in_sync_until=int(float(in_sync_until)),
            numbers=int(numbers),
            lists_all_numbers=lists_all_numbers,
            changed=[number.decode() for number in changed[::2]],
            sequence=max([0 if lists_all_numbers else sequence, *sequences]),
        )

    def watched(self) -> Watched:
        names = (keys.EPOCH, keys.SEQUENCE, keys.PAUSED_BY, keys.CONFIRMED_AT, keys.IN_SYNC_UNTIL)
        first, *others = names
        [values] = self.read_all(("MGET", first, *map(self.full_key, others)))
        epoch, sequence, paused_by, confirmed_at, in_sync_until = values
        return Watched(
            (epoch or b"").decode(),
            int(sequence or 0),
            paused_by is not None,
            int(confirmed_at or 0),
            int(float(in_sync_until or 0)),
        )

    def notify_replicas(self) -> None:
        """Make all replicas compare themselves with Redis."""
        with self._translated_errors():
            self._redis.publish(self.full_key(keys.CHANNEL), keys.COMPARE)

    def announce_mapping(self) -> None:
        """Tell the processes of this mapping that another one is in force."""
        with self._translated_errors():
            self._redis.publish(self.full_key(keys.CHANNEL), keys.MAPPING_SAVED)

    def subscribe(self) -> Any:
        """redis-py's PubSub on the channel. It connects when it is first used."""
        with self._translated_errors():
            pubsub = self._redis.pubsub()
            pubsub.subscribe(self.full_key(keys.CHANNEL))
            return pubsub

    def encode_value(self, value: Any) -> Any:
        """A value as django-redis writes it, for comparisons in scripts."""
        return self._cache.client.encode(value)

    def _publish_call(
        self, chunk: list[EncodedEntry], channel: str, announce_unchanged: bool
    ) -> ScriptCall:
        names = [*_PUBLISH_KEYS, *(entry_key(entry.number) for entry in chunk)]
        arguments: list[Any] = [channel, secrets.token_hex(8), "1" if announce_unchanged else "0"]
        for entry in chunk:
            time_to_live = int(self.lifetimes.total_seconds(entry) * 1000)
            known = "1" if entry.is_known else "0"
            arguments += [entry.number, entry.value, entry.read_at, entry.digest, known]
            arguments += [time_to_live, entry.origin]
        return ScriptCall(_PUBLISH, names, arguments)


def clock_now(store: RedisConnection) -> int:
    """Milliseconds by Redis' clock; by this machine's clock while Redis does not answer."""
    try:
        return store.now()
    except CacheUnavailable:
        return int(time.time() * 1000)


def _chunks_to_write(entries: Iterable[EncodedEntry]) -> Iterator[list[EncodedEntry]]:
    """Chunks of what one request may hold."""
    chunk: list[EncodedEntry] = []
    size = 0
    for entry in entries:
        new = len(entry.value)
        if len(chunk) == ENTRIES_PER_WRITE or (chunk and size + new > BYTES_PER_WRITE):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += new
    if chunk:
        yield chunk


def _write_results(chunk: list[EncodedEntry], answer: Sequence[bytes]) -> Iterator[WriteResult]:
    for entry, outcome, before in zip(chunk, answer[::2], answer[1::2], strict=True):
        old = entry_from_bytes(entry.number, before) if before else None
        yield WriteResult(entry, cast("Outcome", outcome.decode()), old)
