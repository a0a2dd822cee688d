"""The Redis commands that Siftly uses, in and outside its scripts, each with harmless arguments.
Some services, proxies and users lack a few of them."""

from airtable_sync.redis_client.connection import RedisConnection
from airtable_sync.redis_client.scripts import Command

# The order matters: later commands need a key of the right type. A test compares the names with
# the source. TIME, PUBLISH, SUBSCRIBE, PING, EVAL and EVALSHA are tried by other checks.
_COMMANDS = (
    Command("SET", "text", ["1", "EX", 60]),
    Command("GET", "text", []),
    Command("GETEX", "text", ["PX", 60_000]),  # since Redis 6.2
    Command("MGET", "text", []),
    Command("EXISTS", "text", []),
    Command("EXPIRE", "text", [60]),
    Command("PEXPIRE", "text", [60_000]),
    Command("PTTL", "text", []),
    Command("INCR", "text", []),
    Command("INCRBY", "text", [1]),
    Command("HSET", "hash", ["a", "1"]),
    Command("HGET", "hash", ["a"]),
    Command("HMGET", "hash", ["a"]),
    Command("HGETALL", "hash", []),
    Command("HINCRBY", "hash", ["a", 1]),
    Command("HDEL", "hash", ["b"]),
    Command("LPUSH", "list", ["a"]),
    Command("LINDEX", "list", [0]),
    Command("LREM", "list", [0, "b"]),
    Command("LTRIM", "list", [0, 0]),
    Command("SADD", "set", ["a"]),
    Command("SCARD", "set", []),
    Command("SISMEMBER", "set", ["a"]),
    Command("SMISMEMBER", "set", ["a"]),  # since Redis 6.2
    Command("SMEMBERS", "set", []),
    Command("SSCAN", "set", [0]),
    Command("SREM", "set", ["b"]),
    Command("ZADD", "sorted", ["GT", 1, "a"]),  # GT: since Redis 6.2
    Command("ZCARD", "sorted", []),
    Command("ZSCORE", "sorted", ["a"]),
    Command("ZRANGE", "sorted", [0, 0]),
    Command("ZREVRANGE", "sorted", [0, 0]),
    Command("ZRANGEBYSCORE", "sorted", ["-inf", "+inf"]),
    Command("ZREVRANGEBYSCORE", "sorted", ["+inf", "-inf"]),
    Command("ZSCAN", "sorted", [0]),
    Command("ZREMRANGEBYRANK", "sorted", [5, 5]),
    Command("ZREM", "sorted", ["b"]),
)
_KEYS = ("text", "hash", "list", "set", "sorted")
NAMES = frozenset({each.command for each in _COMMANDS} | {"DEL", "UNLINK"})


def try_commands(trial: RedisConnection) -> None:
    """Use every command, in a namespace of its own. Raises CacheUnavailable, which names one that
    this Redis does not have, or that its user may not use."""
    try:
        trial.run_all(_COMMANDS)
    finally:
        trial.run_all(Command("DEL", key, []) for key in _KEYS)
    trial.run_all([Command("UNLINK", "text", [])])
