"""The answer log: the last 10,000 answers of all processes, for eight days at most. It does not
have the caller's number."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.monitoring.calls.recorder import AnsweredCall, CallRecorder
from airtable_sync.monitoring.metrics.retention import SECONDS_KEPT
from airtable_sync.redis_client.scripts import ScriptCall, load_script

ANSWERS_KEPT = 10_000
ANSWERS_PER_REQUEST = 400
_YIELD_EVERY = 16
_PAGE = 1000
_LOG, _CONFIGS = "answers", "answer_configs"
_KEYS = (_LOG, _CONFIGS, "answer_references")
_DIGEST_LENGTH = 16
_SCRIPT = load_script(__file__, "answer_log.lua")


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """`number` is "" if the called number was not a telephone number. `origin` (`entry.Origin`) and
    `read_at` are empty if the number had no entry. `variables` are what the agent got; None if they
    are not kept any more."""

    at: datetime
    number: str
    platform: str
    call_id: str
    source: str
    is_known: bool
    seconds: float
    origin: str
    read_at: datetime | None
    variables: dict[str, str] | None
    contact: str = ""  # the record of the caller's contact; "" for a stranger


@dataclass(frozen=True, slots=True)
class AnswerFilter:
    """Which answers: an empty text or None means all. `number` is in E.164; `since` and `before`
    are included."""

    number: str = ""
    source: str = ""
    platform: str = ""
    since: datetime | None = None
    before: datetime | None = None

    def matches(self, row: list[Any]) -> bool:
        _, _, number, platform, _, source, *_ = row
        wanted = ((self.number, number), (self.platform, platform), (self.source, source))
        return all(not text or text == found for text, found in wanted)


class AnswerLogWriter:
    """Moves the answers of this process to Redis."""

    def __init__(self, recorder: CallRecorder, process_id: str) -> None:
        self._recorder = recorder
        self._process_id = process_id
        self._sequence = 0
        self._batch: list[AnsweredCall] = []

    def take(self) -> list[AnsweredCall]:
        """The next answers; none while the last batch has not arrived."""
        if self._batch:
            return []
        while len(self._recorder) and len(self._batch) < ANSWERS_PER_REQUEST:
            if len(self._batch) % _YIELD_EVERY == 0:
                time.sleep(0)  # releases the interpreter lock: calls have priority
            self._batch.append(self._recorder.pop())
        self._sequence += len(self._batch)
        return self._batch

    def next_script(self) -> ScriptCall | None:
        """The script that writes the batch; the same one until `arrived` is called."""
        if not self._batch:
            return None
        configs: dict[str, str] = {}
        rows = []
        for sequence, each in enumerate(self._batch, self._sequence - len(self._batch)):
            config = json.dumps(dict(each.answer.variables), sort_keys=True)
            digest = hashlib.sha256(config.encode()).hexdigest()[:_DIGEST_LENGTH]
            configs[digest] = config
            score = f"{each.at}.{sequence % 1000:03}"  # keeps the order within a millisecond
            rows.append((score, digest + _encode(each, f"{self._process_id}:{sequence}")))
        return _script_call(configs, rows, [])

    def arrived(self) -> None:
        self._batch = []


class AnswerLog:
    """Every method raises CacheUnavailable."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def search(self, wanted: AnswerFilter, limit: int = 100) -> list[LoggedAnswer]:
        """The newest first. Takes eleven commands at most."""
        return next(self.pages(wanted, limit), [])

    def pages(self, wanted: AnswerFilter, size: int = _PAGE) -> Iterator[list[LoggedAnswer]]:
        """All that match, newest first, some at a time: at most 10,000."""
        found: list[tuple[str, list[Any]]] = []
        for member in self._members(wanted.since, wanted.before):
            row = json.loads(member[_DIGEST_LENGTH:])
            if wanted.matches(row):
                found.append((member[:_DIGEST_LENGTH], row))
            if len(found) == size:
                yield self._with_variables(found)
                found = []
        if found:
            yield self._with_variables(found)

    def _with_variables(self, found: list[tuple[str, list[Any]]]) -> list[LoggedAnswer]:
        digests = list({digest for digest, _ in found})
        (configs,) = self._store.read_all(("HMGET", _CONFIGS, *digests))
        variables = {d: json.loads(c) for d, c in zip(digests, configs, strict=True) if c}
        return [_decode(row, variables.get(digest)) for digest, row in found]

    def erase(self, number: str) -> int:
        """Delete the answers of a number. Returns how many there were."""
        members = self._members()
        erased = [each for each in members if json.loads(each[_DIGEST_LENGTH:])[2] == number]
        if erased:
            self._store.run_all([_script_call({}, [], erased)])
        return len(erased)

    def _members(
        self, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[str]:
        """Newest first. Without new calls, expired ones may still be there: they are skipped."""
        now = time.time() * 1000
        newest = f"{int(before.timestamp() * 1000)}.999" if before else "+inf"
        first = since.timestamp() * 1000 if since else 0.0
        oldest = str(int(max(first, now - SECONDS_KEPT * 1000)))
        for start in range(0, ANSWERS_KEPT, _PAGE):
            command = ("ZREVRANGEBYSCORE", _LOG, newest, oldest, "LIMIT", start, _PAGE)
            (members,) = self._store.read_all(command)
            yield from (member.decode() for member in members)
            if len(members) < _PAGE:
                return


def _script_call(
    configs: dict[str, str], rows: list[tuple[str, str]], erased: list[str]
) -> ScriptCall:
    limits = [ANSWERS_KEPT, SECONDS_KEPT * 1000]
    return ScriptCall(_SCRIPT, _KEYS, [*limits, *map(json.dumps, (configs, rows, erased))])


def _encode(call: AnsweredCall, unique: str) -> str:
    """`unique` makes each member of the sorted set different."""
    answer, entry = call.answer, call.answer.entry
    read = (entry.origin, entry.read_at) if entry else ("", 0)
    row = (unique, call.at, answer.number or "", call.platform, call.call_id, answer.source)
    rest = (int(answer.is_known), round(call.seconds, 6), *read, call.contact)
    return json.dumps((*row, *rest))


def _decode(row: list[Any], variables: dict[str, str] | None) -> LoggedAnswer:
    _, at, number, platform, call_id, source, is_known, seconds, origin, read_at, contact = row
    return LoggedAnswer(
        at=_moment(at),
        number=number,
        platform=platform,
        call_id=call_id,
        source=source,
        is_known=bool(is_known),
        seconds=seconds,
        origin=origin,
        read_at=_moment(read_at) if read_at else None,
        variables=variables,
        contact=contact,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
