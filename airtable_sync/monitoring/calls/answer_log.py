"""What was this caller told? The last 10,000 answers of all processes, for eight days at most. The
caller's own number is not among it."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airtable_sync.cache.redis_store import TELEMETRY, Store
from airtable_sync.monitoring.calls.recorder import Answered, next_one, waiting
from airtable_sync.redis_client.scripts import KEPT_SECONDS, Parcel, load_script

KEPT = 10_000
ANSWERS_PER_REQUEST = 400
TAKEN_AT_ONCE = 16
_PAGE = 1000
_NAMES = ("answers", "answer_configs", "answer_references")
_DIGEST = 16  # letters
_SCRIPT = load_script(__file__, "answer_log.lua")


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """`number` is empty where what was called is no telephone number; `call_id` where the platform
    tells none; `read_by` (refresh, change, lookup) and `read_at` where nothing was found out about
    the number. `variables` are what the agent got, and None if they are not kept any more."""

    at: datetime
    number: str
    platform: str
    call_id: str
    source: str
    known: bool
    seconds: float
    read_by: str
    read_at: datetime | None
    variables: dict[str, str] | None


class AnswerLog:
    """The answers of this process on their way to Redis."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._sequence = 0
        self._sent: list[Answered] = []

    def take(self) -> list[Answered]:
        """The next answers, unless some still have to arrive."""
        if self._sent:
            return []
        while waiting and len(self._sent) < ANSWERS_PER_REQUEST:
            if len(self._sent) % TAKEN_AT_ONCE == 0:
                time.sleep(0)  # lets go of the interpreter: who answers a call goes first
            self._sent.append(next_one())
        self._sequence += len(self._sent)
        return self._sent

    def parcel(self) -> Parcel | None:
        if not self._sent:
            return None
        configs: dict[str, str] = {}
        rows = []
        for sequence, each in enumerate(self._sent, self._sequence - len(self._sent)):
            config = json.dumps(each.answer.variables, sort_keys=True)
            digest = hashlib.sha256(config.encode()).hexdigest()[:_DIGEST]
            configs[digest] = config
            at = f"{each.at}.{sequence % 1000:03}"  # those of one millisecond stay in order
            row = _to_json(each, f"{self._process}:{sequence}")
            rows.append((at, digest + row))
        return _parcel(configs, rows, [])

    def arrived(self) -> None:
        self._sent = []


def search(
    number: str = "",
    before: datetime | None = None,
    limit: int = 100,
    store: Store = TELEMETRY,
) -> list[LoggedAnswer]:
    """The newest answers, of one called number (E.164) or of all, at or before a moment. Raises
    CacheUnavailable. It takes eleven commands at most."""
    found: list[tuple[str, list[Any]]] = []
    for member in _members(before, store):
        row = json.loads(member[_DIGEST:])
        if not number or row[2] == number:
            found.append((member[:_DIGEST], row))
        if len(found) == limit:
            break
    if not found:
        return []
    digests = list({digest for digest, _ in found})
    (configs,) = store.ask(("HMGET", _NAMES[1], *digests))
    variables = {d: json.loads(c) for d, c in zip(digests, configs, strict=True) if c}
    return [_of_row(row, variables.get(digest)) for digest, row in found]


def erase(number: str, store: Store = TELEMETRY) -> int:
    """Forget the answers of a number; how many there were. Raises CacheUnavailable."""
    erased = [each for each in _members(None, store) if json.loads(each[_DIGEST:])[2] == number]
    if erased:
        store.run_all([_parcel({}, [], erased)])
    return len(erased)


def _members(before: datetime | None, store: Store) -> Iterator[str]:
    """Newest first; those past their time may still be there, if nobody has called since."""
    now = time.time() * 1000
    newest = f"{int(before.timestamp() * 1000)}.999" if before else "+inf"
    oldest = str(int(now - KEPT_SECONDS * 1000))
    for start in range(0, KEPT, _PAGE):
        command = ("ZREVRANGEBYSCORE", _NAMES[0], newest, oldest, "LIMIT", start, _PAGE)
        (members,) = store.ask(command)
        yield from (member.decode() for member in members)
        if len(members) < _PAGE:
            return


def _parcel(configs: dict[str, str], rows: list[tuple[str, str]], erased: list[str]) -> Parcel:
    limits = [KEPT, KEPT_SECONDS * 1000]
    return Parcel(_SCRIPT, _NAMES, [*limits, *map(json.dumps, (configs, rows, erased))])


def _to_json(each: Answered, name: str) -> str:
    """`name` makes it unlike any other: a set of Redis holds equal ones but once."""
    answer, entry = each.answer, each.answer.entry
    read = (entry.by, entry.read_at) if entry else ("", 0)
    row = (name, each.at, answer.number or "", each.platform, each.call_id, answer.source)
    return json.dumps((*row, int(answer.known), round(each.seconds, 6), *read))


def _of_row(row: list[Any], variables: dict[str, str] | None) -> LoggedAnswer:
    _, at, number, platform, call_id, source, known, seconds, read_by, read_at = row
    return LoggedAnswer(
        at=_moment(at),
        number=number,
        platform=platform,
        call_id=call_id,
        source=source,
        known=bool(known),
        seconds=seconds,
        read_by=read_by,
        read_at=_moment(read_at) if read_at else None,
        variables=variables,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
