"""Which entries are in Redis: the index of all, the set of those that have a config, and the index
by records."""

import json
from collections.abc import Iterable, Iterator

from airtable_sync.cache import keys, record_index
from airtable_sync.cache.chunks import ENTRIES_PER_COUNT, READS_PER_ROUND_TRIP, chunks
from airtable_sync.cache.entry import Entry, entry_from_bytes
from airtable_sync.cache.keys import entry_key
from airtable_sync.redis_client.connection import RedisConnection
from airtable_sync.redis_client.scripts import Command, ScriptCall

SETS_PER_ROUND_TRIP = 20  # of the record index
_COMPLETE = b"complete"  # its state


class RedisIndex(RedisConnection):
    """Every method raises CacheUnavailable."""

    def count_existing(self, numbers: Iterable[str]) -> int:
        """How many of these numbers have an entry."""
        with self._translated_errors():
            return sum(
                self._redis.exists(*(self.full_key(entry_key(number)) for number in chunk))
                for chunk in chunks(numbers, ENTRIES_PER_COUNT)
            )

    def count_known(self) -> int:
        """How many numbers have a config."""
        return int(self.read_all(("SCARD", keys.KNOWN_NUMBERS))[0])

    def refreshed_at(self) -> int:
        """When the last published refresh began to read (ms). 0 if Redis has lost it, or after a
        rollback."""
        [stored] = self.read_all(("GET", keys.LAST_REFRESH))
        return int(json.loads(stored)[0]) if stored else 0

    def newest_change(self) -> tuple[str, int]:
        """The epoch, and the sequence of the newest change in the index."""
        epoch, newest = self.read_all(
            ("GET", keys.EPOCH), ("ZREVRANGE", keys.INDEX, 0, 0, "WITHSCORES")
        )
        return (epoch or b"").decode(), int(float(newest[1])) if newest else 0

    def known_numbers(self) -> Iterator[str]:
        """Every number that has a config, in no order. One that is there all the while comes at
        least once."""
        return map(bytes.decode, self._members([keys.KNOWN_NUMBERS]))

    def _members(self, names: Iterable[str]) -> Iterator[bytes]:
        """The members of these sets, some of them more than once."""
        positions = dict.fromkeys(names, 0)
        while positions:
            commands = [("SSCAN", *each, "COUNT", ENTRIES_PER_COUNT) for each in positions.items()]
            pages = self.read_all(*commands)
            for _, members in pages:
                yield from members
            positions = {name: at for name, (at, _) in zip(positions, pages, strict=True) if at}

    def are_known(self, numbers: Iterable[str]) -> Iterator[tuple[str, bool]]:
        """Whether each of these numbers has a config."""
        for chunk in chunks(numbers, ENTRIES_PER_COUNT):
            [answers] = self.read_all(("SMISMEMBER", keys.KNOWN_NUMBERS, *chunk))
            yield from zip(chunk, map(bool, answers), strict=True)

    def made_from(self, record_ids: Iterable[str]) -> Iterator[Entry]:
        """The entries that may be made from any of these records, some of them more than once.
        Redis searches the bytes of those that the record index has; of all if there is none. It
        only sends what it finds."""
        wanted = sorted(record_ids)
        is_indexed = self._has_record_index()
        candidates = self._indexed_by(wanted) if is_indexed else self.known_numbers()
        for group in chunks(chunks(candidates), READS_PER_ROUND_TRIP):
            found = self.run_all(
                ScriptCall(record_index.MADE_FROM, [entry_key(each) for each in chunk], wanted)
                for chunk in group
            )
            for chunk, answer in zip(group, found, strict=True):
                for place, value in zip(answer[::2], answer[1::2], strict=True):
                    if entry := entry_from_bytes(chunk[place - 1], value):
                        yield entry

    def _has_record_index(self) -> bool:
        return self.read_all(("GET", keys.RECORD_INDEX)) == [_COMPLETE]

    def _indexed_by(self, record_ids: Iterable[str]) -> Iterator[str]:
        names = sorted(set(map(record_index.set_of, record_ids)))
        for some in chunks(names, SETS_PER_ROUND_TRIP):
            yield from map(record_index.number_of, self._members(some))

    def make_record_index(self) -> None:
        """Unless it is there. For 500,000 entries it takes some seconds, in pieces of some
        milliseconds. If Redis loses it meanwhile, the next call makes it again."""
        if self._has_record_index():
            return
        self.run_all([Command("SET", keys.RECORD_INDEX, ["incomplete"])])
        for group in chunks(chunks(self.known_numbers()), READS_PER_ROUND_TRIP):
            self.run_all(
                ScriptCall(record_index.ADD, [keys.RECORD_INDEX, *map(entry_key, chunk)], chunk)
                for chunk in group
            )
        self.run_all([Command("SET", keys.RECORD_INDEX, [_COMPLETE, "XX"])])

    def indexed_numbers(self) -> list[str]:
        """Every number in the index, also removed and unknown ones."""
        with self._translated_errors():
            members = self._redis.zrange(self.full_key(keys.INDEX), 0, -1)
        return [member.decode() for member in members]

    def all_indexed(self) -> Iterator[str]:
        """The same while iterated, in no order. Each number that is in the index all the while
        comes at least once."""
        position = 0
        while True:
            with self._translated_errors():
                position, members = self._redis.zscan(
                    self.full_key(keys.INDEX), position, count=ENTRIES_PER_COUNT
                )
            yield from (member.decode() for member, _ in members)
            if not position:
                return
