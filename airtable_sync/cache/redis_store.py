"""The cache: one entry a number in Redis, through Django's cache framework on django-redis.

Whatever Redis fails to do raises CacheUnavailable."""

import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeVar, cast

from airtable_sync.airtable import circuit_breakers
from airtable_sync.cache.entry import (
    TOMBSTONE_SECONDS,
    Entry,
    from_bytes,
    from_json,
    lifetime_seconds,
    warn_of_foreign_value,
)
from airtable_sync.redis_client.connection import CacheUnavailable as CacheUnavailable  # noqa: PLC0414 - its users catch it
from airtable_sync.redis_client.connection import Connection, ScriptCall
from airtable_sync.redis_client.scripts import load_script

logger = logging.getLogger(__name__)

T = TypeVar("T")
Outcome = Literal["added", "changed", "unchanged", "removed", "unknown", "older"]

# Some 200 KB a request: small enough not to hold up Redis' other clients (a few milliseconds).
ENTRIES_PER_REQUEST = 400
# The same for what is written, which some Redis services also limit to a megabyte.
ENTRIES_PER_WRITE, BYTES_PER_WRITE = 640, 800_000


_PUBLISH, _STATE = load_script(__file__, "publish.lua"), load_script(__file__, "replica_state.lua")
_CLAIM, _UNCLAIM = (
    load_script(__file__, "../lookup/acquire_lease.lua"),
    load_script(__file__, "../lookup/release_lease.lua"),
)

_FORGET = """
for i = 3, #KEYS do
  if redis.call("EXISTS", KEYS[i]) == 0 then
    redis.call("ZREM", KEYS[1], ARGV[i - 2])
    redis.call("SREM", KEYS[2], ARGV[i - 2])
  end
end
"""
READS_AT_ONCE = 10  # in one pipeline: 2 MB, which take Redis a few milliseconds
REQUESTS_AT_ONCE = 2  # in one pipeline: fewer round trips, and still no megabytes in flight

# Only one refresh runs at a time, and nobody gives anything back to Redis meanwhile.
REFRESH_LOCK = "refresh_lock_taken"
CONFIRMED_AT = "confirmed_at"  # when the last reading of all of Airtable was asked for, ms
WHOLE = "whole"  # the same, not moved by the change feed's word, and by which mapping (`whole`)
KNOWN = "known"  # the numbers that have a config
IN_SYNC_UNTIL = (
    "change_feed_in_sync_until"  # until when the change feed's last word can be relied on, ms
)
PUBLICATION = "publication"  # the mark of the one under way, or the last
HOLD = "hold"  # the run of a rollback that nothing replaces until it is released
# Where replicas are nudged: with the epoch and the sequence of a change, with "failed:" and the
# number of a lookup that others wait for, because Airtable says that something changed, or because
# nobody reads the change feed any more.
CHANNEL, FAILED, PINGED, LEADERLESS = "changes", "failed:", "pinged", "leaderless"


@dataclass(frozen=True, slots=True)
class State:
    """What a replica compares itself with. Times in milliseconds by Redis' clock."""

    epoch: str  # which life of Redis this is; empty for one that holds nothing
    confirmed_at: int
    now: int
    held: bool  # a rollback holds what it published
    in_sync_until: int  # by the change feed
    numbers: int  # that have a config
    whole: bool  # `changed` is all there is
    changed: list[str]  # numbers
    sequence: int  # of the newest change


@dataclass(frozen=True, slots=True)
class Written:
    """What writing an entry did, and the entry it replaced, where that said something else."""

    entry: Entry
    outcome: Outcome
    before: Entry | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether a lookup is ours to do; if not, how long its lease still runs. `entry` is what is
    cached by now."""

    number: str
    ours: bool
    lease_seconds: float
    entry: Entry | None


class Store(Connection):
    """All of Siftly's keys in one Redis."""

    def read(self, number: str) -> Entry | None:
        """The entry of a number, or None if there is none."""
        try:
            with self._translated():
                value = self._cache.get(_key(number))
            return None if value is None else from_json(number, value)
        except (ValueError, RecursionError) as error:
            warn_of_foreign_value(number, error)
            return None

    def read_many(self, numbers: Iterable[str]) -> Iterator[Entry]:
        """The entries that exist, in requests of a few hundred."""
        for chunk in _chunks(list(numbers)):
            try:
                with self._translated():
                    values = self._cache.get_many([_key(number) for number in chunk])
                entries = [from_json(n, values[_key(n)]) for n in chunk if _key(n) in values]
            except (ValueError, RecursionError):  # one of them can't be read: find it
                entries = [entry for number in chunk if (entry := self.read(number))]
            yield from entries

    def write(self, entries: Iterable[Entry], *, announce_unchanged: bool) -> dict[str, Outcome]:
        """Write entries, the newer reading of each number winning. A single entry that was read
        again says so to the replicas even if nothing changed (`announce_unchanged`): it is fresh
        again. A refresh need not: it says it for the whole set at once."""
        outcomes: dict[str, Outcome] = {}
        for chunk in self._encoded(entries):
            call = self._publishing(chunk, self.raw(CHANNEL), announce_unchanged)
            outcomes.update(
                (each.entry.number, each.outcome) for each in _written(chunk, self.run(*call))
            )
        return outcomes

    def publish(self, entries: Sequence[Entry]) -> Iterator[Written]:
        """The same for a whole set, pipelined, and without a nudge: `completed` gives one at the
        end."""
        chunks = self._encoded(entries)
        while group := list(islice(chunks, REQUESTS_AT_ONCE)):
            with self._translated():
                answers = self._run_all(self._publishing(chunk, "", False) for chunk in group)
            for chunk, answer in zip(group, answers, strict=True):
                yield from _written(chunk, answer)

    def state(self, epoch: str, sequence: int) -> State:
        """What changed since an epoch's sequence; everything, if Redis has another past."""
        names = ["index", "epoch", CONFIRMED_AT, HOLD, IN_SYNC_UNTIL, KNOWN]
        found, confirmed_at, now, held, until, numbers, whole, changed = self.run(
            _STATE, names, [epoch, sequence]
        )
        is_whole, scores = whole == b"1", [int(float(score)) for score in changed[1::2]]
        return State(
            epoch=found.decode(),
            confirmed_at=int(confirmed_at),
            now=int(now),
            held=held == 1,
            in_sync_until=int(float(until)),
            numbers=int(numbers),
            whole=is_whole,
            changed=[number.decode() for number in changed[::2]],
            sequence=max([0 if is_whole else sequence, *scores]),
        )

    def read_raw(self, numbers: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """The bytes of entries as Redis keeps them, in requests of a few hundred, some
        in each round trip."""
        for group in _chunks(list(_chunks(list(numbers))), READS_AT_ONCE):
            with self._translated():
                pipeline = self._redis.pipeline(transaction=False)
                for chunk in group:
                    pipeline.mget([self.raw(_key(number)) for number in chunk])
                answers = pipeline.execute()
            for chunk, values in zip(group, answers, strict=True):
                yield from zip(chunk, values, strict=True)

    def claim(self, numbers: Sequence[str], token: str, seconds: float) -> list[Claim]:
        """Try to become the one process that looks these numbers up."""
        names = [name for number in numbers for name in (_lease(number), _key(number))]
        answer = self.run(_CLAIM, names, [token, int(seconds * 1000)])
        return [
            Claim(
                number,
                ours=ours == b"1",
                lease_seconds=max(0, lease) / 1000,
                entry=from_bytes(number, raw) if raw else None,
            )
            for number, ours, lease, raw in zip(
                numbers, answer[::3], answer[1::3], answer[2::3], strict=True
            )
        ]

    def hold(self, numbers: Iterable[str], token: str, seconds: float, failed: str = "") -> None:
        """Hold claims for so much longer; give them back with 0. `failed` is a number whose other
        callers, in other processes, are told that its lookup failed."""
        leases = [_lease(number) for number in numbers]
        message = f"{FAILED}{failed}" if failed else ""
        self.run(_UNCLAIM, leases, [token, int(seconds * 1000), self.raw(CHANNEL), message])

    def nudge(self) -> None:
        """Let all replicas compare."""
        with self._translated():
            self._redis.publish(self.raw(CHANNEL), "compare")

    def pubsub(self) -> Any:
        """A subscription to the nudges that follow every change. It connects when first used."""
        with self._translated():
            subscription = self._redis.pubsub()
            subscription.subscribe(self.raw(CHANNEL))
            return subscription

    def count(self) -> int:
        """How many numbers have a config."""
        return int(self.ask(("SCARD", KNOWN))[0])

    def numbers(self) -> list[str]:
        """Every number in the index: also removed ones, and ones known to be unknown."""
        with self._translated():
            return [member.decode() for member in self._redis.zrange(self.raw("index"), 0, -1)]

    def begin(self) -> str:
        """A mark that Redis keeps as long as it keeps what is published from now on."""
        mark = secrets.token_hex(8)
        self.remember(PUBLICATION, mark, TOMBSTONE_SECONDS)
        return mark

    def completed(self, read_at: int, mark: str, reader: str = "") -> bool:
        """Everything was read, as of `read_at` at the latest, and published since `begin` gave the
        mark: what is cached is fresh again, and the replicas are nudged. False, and none of it, if
        Redis has lost the mark: they would take what was lost with it for removed. Without a
        `reader` (see `whole`) it is another set than Airtable's."""
        script = """
        if redis.call("GET", KEYS[5]) ~= ARGV[4] then return 0 end
        if tonumber(redis.call("GET", KEYS[1]) or 0) < tonumber(ARGV[1]) then
          redis.call("SET", KEYS[1], ARGV[1])
        end
        local whole = redis.call("GET", KEYS[3])
        local last_refresh_at = whole and cjson.decode(whole)[1] or 0
        -- Two publish at once where Redis lost the lease of one: the older may end last.
        local is_newest = last_refresh_at <= tonumber(ARGV[1])
          or last_refresh_at > redis.call("TIME")[1] * 1000 + 5000 -- by a clock that was ahead
        if ARGV[2] == "" then
          redis.call("DEL", KEYS[3], KEYS[4])
        elseif is_newest then
          redis.call("SET", KEYS[3], cjson.encode({tonumber(ARGV[1]), ARGV[2]}))
        end
        local epoch, sequence = redis.call("GET", KEYS[6]) or "", redis.call("INCR", KEYS[2])
        redis.call("PUBLISH", ARGV[3], epoch .. ":" .. sequence)
        return 1
        """
        names = [CONFIRMED_AT, "sequence", WHOLE, IN_SYNC_UNTIL, PUBLICATION, "epoch"]
        kept = self._cache.client.encode(mark)
        return bool(self.run(script, names, [read_at, reader, self.raw(CHANNEL), kept]))

    def confirmed(self, read_at: int) -> None:
        """Nothing changed up to `read_at` in the set that Redis has, if it has it still. Nobody is
        told: replicas look twice a minute."""
        script = """
        if tonumber(redis.call("GET", KEYS[1]) or ARGV[1]) < tonumber(ARGV[1]) then
          redis.call("SET", KEYS[1], ARGV[1])
        end
        """
        self.run(script, [CONFIRMED_AT], [read_at])

    def prolong(self) -> int:
        """Let every known entry live as long as if it had been written now; how many there are."""
        script = """
        local known = 0
        for i = 1, #KEYS do
          local value = redis.pcall("GET", KEYS[i])
          local ok, entry = pcall(cjson.decode, type(value) == "string" and value or "")
          if ok and type(entry) == "table" and type(entry.config) == "table" then
            local left = redis.call("PTTL", KEYS[i]) -- of a pin, more
            redis.call("PEXPIRE", KEYS[i], math.max(ARGV[1], left))
            known = known + 1
          end
        end
        return known
        """
        life = int(lifetime_seconds(known=True) * 1000)
        chunks = _chunks(self.numbers())
        return sum(self.run(script, [_key(n) for n in chunk], [life]) for chunk in chunks)

    def forget(self, numbers: Iterable[str]) -> None:
        """Take numbers out of the index whose entries have ended: unless they are back by now."""
        for chunk in _chunks(list(numbers)):
            self.run(_FORGET, ["index", KNOWN, *(_key(number) for number in chunk)], chunk)

    def _encoded(self, entries: Iterable[Entry]) -> "Iterator[EncodedChunk]":
        """In chunks of what one request may hold."""
        chunk: EncodedChunk = []
        size = 0
        for entry in entries:
            said = entry.as_json()
            value = self._cache.client.encode(said)
            if len(chunk) == ENTRIES_PER_WRITE or (chunk and size + len(value) > BYTES_PER_WRITE):
                yield chunk
                chunk, size = [], 0
            chunk.append((entry, value, said["digest"]))
            size += len(value)
        if chunk:
            yield chunk

    def _publishing(self, chunk: "EncodedChunk", channel: str, announce: bool) -> ScriptCall:
        names = ["index", "sequence", "epoch", HOLD, WHOLE, KNOWN]
        names += [_key(entry.number) for entry, *_ in chunk]
        arguments: list[Any] = [channel, secrets.token_hex(8), "1" if announce else "0"]
        for entry, value, digest in chunk:
            life = int(entry.lifetime_seconds * 1000)
            known = "1" if entry.known else "0"
            arguments += [entry.number, value, entry.read_at, digest, known, life]
            arguments.append(entry.by)
        return _PUBLISH, names, arguments


EncodedChunk = list[tuple[Entry, bytes, str]]  # with the value for the cache, and its digest

CALLS = Store("default", circuit_breakers.REDIS)
PATIENT = Store("patient")
REPLICA = Store("replica")
TELEMETRY = Store("replica")


def clock_now(store: Store) -> int:
    """The moment a reading is asked for: by Redis' clock or, without Redis, by our own."""
    try:
        return store.now()
    except CacheUnavailable:
        return int(time.time() * 1000)


def _written(chunk: EncodedChunk, answer: Sequence[bytes]) -> Iterator[Written]:
    for (entry, *_), word, before in zip(chunk, answer[::2], answer[1::2], strict=True):
        old = from_bytes(entry.number, before) if before else None
        yield Written(entry, cast("Outcome", word.decode()), old)


def _key(number: str) -> str:
    return f"entry:{number}"


def _lease(number: str) -> str:
    return f"lookup:{number}"


def _chunks(items: Sequence[T], size: int = ENTRIES_PER_REQUEST) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
