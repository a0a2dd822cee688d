"""Lookup leases in Redis: at most one process looks a number up at a time."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from airtable_sync.cache.entry import Entry, entry_from_bytes
from airtable_sync.cache.keys import CHANNEL, LOOKUP_FAILED, entry_key, lookup_key
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.redis_client.scripts import load_script

_ACQUIRE = load_script(__file__, "acquire_lease.lua")
_RELEASE = load_script(__file__, "release_lease.lua")


@dataclass(frozen=True, slots=True)
class LeaseResult:
    """Whether this process has the lease; if not, for how long another one has it. `entry` is what
    is cached now."""

    number: str
    acquired: bool
    remaining_seconds: float
    entry: Entry | None


class LookupLeases:
    """The leases of one process (`token`). Raises CacheUnavailable."""

    def __init__(self, store: RedisStore, token: str) -> None:
        self._store = store
        self._token = token

    def acquire(self, numbers: Sequence[str], seconds: float) -> list[LeaseResult]:
        names = [name for number in numbers for name in (lookup_key(number), entry_key(number))]
        answer = self._store.run_script(_ACQUIRE, names, [self._token, int(seconds * 1000)])
        return [
            LeaseResult(
                number,
                acquired=acquired == b"1",
                remaining_seconds=max(0, remaining) / 1000,
                entry=entry_from_bytes(number, raw) if raw else None,
            )
            for number, acquired, remaining, raw in zip(
                numbers, answer[::3], answer[1::3], answer[2::3], strict=True
            )
        ]

    def extend(self, numbers: Iterable[str], seconds: float, failed: Collection[str] = ()) -> None:
        """Keep the leases for `seconds` from now on; 0 releases them. The other processes are told
        that the lookup of the `failed` numbers failed."""
        names = [lookup_key(number) for number in numbers]
        channel = self._store.full_key(CHANNEL)
        message = f"{LOOKUP_FAILED}{','.join(failed)}" if failed else ""
        arguments: list[str | int] = [self._token, int(seconds * 1000), channel, message]
        self._store.run_script(_RELEASE, names, arguments)
