"""The change feed's state in Redis, shared by all processes: who leads, and how far the feed was
read."""

import secrets
from dataclasses import dataclass

from airtable_sync.cache import keys
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.redis_client.scripts import load_script

READ_AT = "change_feed_read_at"  # ms: when the feed was last read to its end
LEADER = "change_feed_leader"  # the token of the process that reads the feed
NOTIFIED_AT = "change_feed_notified_at"  # ms: when a change notification last came
DENIED = "change_feed_denied"  # Airtable has refused a webhook subscription
KEYS = (READ_AT, LEADER, NOTIFIED_AT, DENIED)
NOTIFICATION_KEPT_SECONDS = 24 * 3600  # Airtable repeats a notification for so long

_STATUS = load_script(__file__, "feed_status.lua")
_MARK_READ = load_script(__file__, "mark_read.lua")
_LEAD = load_script(__file__, "lead.lua")
_STEP_DOWN = """
-- KEYS: leader; ARGV: token, channel, message
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("DEL", KEYS[1])
redis.call("PUBLISH", ARGV[2], ARGV[3])
return 1
"""
_NOTIFY = """
-- KEYS: this notification, wanted at; ARGV: how long it is remembered (s), channel, message
-- Returns 0 for a notification that came before
if not redis.call("SET", KEYS[1], "1", "EX", ARGV[1], "NX") then return 0 end
local time = redis.call("TIME")
redis.call("SET", KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000))
redis.call("PUBLISH", ARGV[2], ARGV[3])
return 1
"""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """Times in milliseconds by Redis' clock; 0: never."""

    now: int
    last_refresh_at: int  # of a full refresh with the current mapping
    read_at: int
    paused: bool  # by a rollback
    denied: bool
    numbers: int


@dataclass(frozen=True, slots=True)
class Lead:
    is_leader: bool
    has_new_notification: bool  # a change notification came after the last reading
    remaining_seconds: float  # of another process's lead


class SharedFeedState:
    """Every method raises CacheUnavailable."""

    def __init__(self, store: RedisStore, active_mapping: ActiveMapping) -> None:
        self._store = store
        self._active_mapping = active_mapping

    def status(self) -> FeedStatus:
        names = [keys.LAST_REFRESH, READ_AT, keys.PAUSED_BY, DENIED, keys.KNOWN_NUMBERS]
        now, refresh_at, fingerprint, read_at, paused, denied, numbers = self._store.run_script(
            _STATUS, names, []
        )
        is_current = fingerprint.decode() == self._active_mapping.fingerprint
        return FeedStatus(
            now=int(now),
            last_refresh_at=int(refresh_at) if is_current else 0,
            read_at=int(float(read_at)),
            paused=paused == 1,
            denied=denied == 1,
            numbers=int(numbers),
        )

    def mark_read(self, read_at: int, valid_seconds: float, *, all_applied: bool) -> bool:
        """The feed was read to its end, as of `read_at` (ms). With `all_applied` the cache has what
        Airtable had then. Returns whether the cache is in sync now."""
        names = [
            READ_AT,
            keys.IN_SYNC_UNTIL,
            keys.CONFIRMED_AT,
            keys.LAST_REFRESH,
            keys.PAUSED_BY,
        ]
        arguments: list[str | int] = [read_at, int(valid_seconds * 1000), int(all_applied)]
        return bool(self._store.run_script(_MARK_READ, names, arguments))

    def lead(self, token: str, seconds: float, silent_seconds: float) -> Lead:
        """Become or stay the leader for `seconds`. A leader that has been silent for
        `silent_seconds` while a notification waits is replaced."""
        arguments: list[str | int] = [token, int(seconds * 1000), int(silent_seconds * 1000)]
        is_leader, has_new_notification, remaining = self._store.run_script(
            _LEAD, [LEADER, NOTIFIED_AT, READ_AT], arguments
        )
        return Lead(is_leader == 1, has_new_notification == 1, max(0, remaining) / 1000)

    def renew_lead(self, token: str, seconds: float) -> bool:
        """Stay the leader, with one command. False if another process leads, or none: then `lead`
        decides. A lead that another process has just taken is prolonged too, which is harmless."""
        arguments = (LEADER, "PX", int(seconds * 1000))
        [holder] = self._store.read_all(("GETEX", *arguments))
        return bool(holder == token.encode())

    def lead_remaining_seconds(self) -> float:
        """How long the leader's lead lasts; 0 if there is no leader. One command."""
        [remaining] = self._store.read_all(("PTTL", LEADER))
        return max(0, int(remaining)) / 1000

    def step_down(self, token: str) -> None:
        channel = self._store.full_key(keys.CHANNEL)
        self._store.run_script(_STEP_DOWN, [LEADER], [token, channel, keys.NO_LEADER])

    def notify_leader(self, notification_id: str) -> bool:
        """A change notification came. False for one that came before."""
        channel = self._store.full_key(keys.CHANNEL)
        names = [f"change_notification:{notification_id}", NOTIFIED_AT]
        arguments: list[str | int] = [NOTIFICATION_KEPT_SECONDS, channel, keys.CHANGE_NOTIFIED]
        return bool(self._store.run_script(_NOTIFY, names, arguments))

    def notify_leader_late(self) -> None:
        """A change notification came while Redis was down."""
        self.notify_leader(secrets.token_hex(8))

    def set_denied(self, seconds: float) -> None:
        """No process asks Airtable for a webhook subscription for so long."""
        self._store.set(DENIED, 1, seconds)

    def clear_denied(self) -> None:
        self._store.delete(DENIED)
