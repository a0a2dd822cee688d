"""Redis' errors as sentences: what is wrong, and what to do. Redis' own texts name internal parts
of a script, and redis-py quotes the whole script."""

import re
from dataclasses import dataclass

from django_redis.exceptions import ConnectionInterrupted

# Redis 7 and Valkey: `… script: f_6b1b, on @user_script:3.` Redis 6: `Error running script (call to
# f_6b1b): @user_script:3: …`
_PLACE_BEHIND = re.compile(r",?\s*script: (?:\w+, )?on @user_script.*", re.DOTALL)
_PLACE_BEFORE = re.compile(r"^.*@user_script:\s*\d+:\s*-?", re.DOTALL)
MAX_LENGTH = 200  # of an unknown error's text
ANOTHER_REDIS = (
    "Siftly needs a plain Redis, which is enough for millions of calls a day "
    "(docs/problems/redis-cluster.md)."
)
_TLS = "If this Redis has no TLS, REDIS_URL must start with redis:// instead of rediss://."


@dataclass(frozen=True, slots=True)
class _Rule:
    """`pattern` is searched for in the name of the error's class and its text: `OutOfMemoryError:
    command not allowed …`. `{0}` in the sentence is the pattern's group."""

    pattern: str
    sentence: str


# The first that matches counts. Classes: redis-py's `exceptions.py`; texts: Redis, Valkey, OpenSSL,
# and the C library.
_RULES = (
    _Rule(
        r"certificate verify failed: (.+?)\.? \(_ssl",
        "Redis' certificate can't be verified: {0}. Check the host name in REDIS_URL, and "
        "ssl_ca_certs if the service has its own authority.",
    ),
    _Rule(
        r"Authentication required|NOAUTH|unauthenticated",
        "Redis requires a password. Copy the whole address from your Redis service to REDIS_URL.",
    ),
    _Rule(
        r"^Authentication\w*Error|WRONGPASS|invalid password",
        "Redis refuses the password. Copy the address from your Redis service to REDIS_URL again.",
    ),
    _Rule(
        r"no permissions to (?:run|execute) the '(\S+)' command",
        "Redis' user may not use the command {0}. Give it all commands (+@all), or use another "
        "user in REDIS_URL.",
    ),
    _Rule(
        r"access a channel|access one of the channels|publish to the channel",
        "Redis' user may not use Siftly's channel. Give it all channels (&*), or use another user "
        "in REDIS_URL.",
    ),
    _Rule(
        r"executing the script can't run",
        "Redis' user may not use a command that Siftly's scripts need. Give it all commands "
        "(+@all), or use another user in REDIS_URL.",
    ),
    _Rule(
        r"executing the script can't access|^NoPermissionError|ACL failure|NOPERM",
        "Redis' user may not use Siftly's keys. Give it all keys that start with siftly: "
        "(~siftly:*), or use another user in REDIS_URL.",
    ),
    _Rule(
        r"^OutOfMemoryError|^OOM|OOM command",
        "Redis' memory is full. Raise its limit (maxmemory) or take a larger plan: "
        "`manage.py check_cache` says how much Siftly needs.",
    ),
    _Rule(
        r"MISCONF",
        "Redis can't save its data to its disk, and so accepts no writes. Make room on that disk: "
        "the service's log says more.",
    ),
    _Rule(
        r"NOREPLICAS|Not enough good replicas",
        "Redis accepts no writes, because too few of its replicas are connected "
        "(min-replicas-to-write). The service's log says more.",
    ),
    _Rule(
        # https://upstash.com/docs/redis/troubleshooting/max_requests_limit
        r"max (?:daily )?requests? limit exceeded",
        "The service accepts no more commands, because its plan's limit is used up. Take a larger "
        "plan: docs/guides/redis.md says how many commands Siftly sends.",
    ),
    _Rule(
        r"^ReadOnlyError|READONLY",
        "This Redis is a replica, which can't be written. Set REDIS_URL to the primary's address.",
    ),
    _Rule(
        r"^BusyLoadingError|LOADING",
        "Redis has just started and still loads its data. Siftly asks it again by itself.",
    ),
    _Rule(
        r"\bBUSY\b",
        "Redis is busy with a long script, perhaps of another application. Siftly asks it again "
        "by itself.",
    ),
    _Rule(
        r"^MasterDownError|MASTERDOWN",
        "This Redis is a replica that has lost its primary. Set REDIS_URL to the primary's "
        "address.",
    ),
    _Rule(
        r"^(?:MovedError|AskError)|MOVED",
        f"This Redis is one node of a cluster with several nodes. {ANOTHER_REDIS}",
    ),
    _Rule(
        r"^ClusterCrossSlotError|CROSSSLOT",
        f"This Redis is a cluster that does not keep Siftly's keys together. {ANOTHER_REDIS}",
    ),
    _Rule(
        r"^Cluster\w*Error|CLUSTERDOWN",
        f"This Redis is a cluster in which a node is missing. {ANOTHER_REDIS}",
    ),
    _Rule(
        r"max number of clients|^MaxConnectionsError",
        "Redis has too many connections. Raise its limit (maxclients) or take a larger plan.",
    ),
    _Rule(
        r"unknown (?:sub)?command '?`?([\w|]+)",
        "This Redis, or a proxy in front of it, does not know the command {0}. Siftly needs "
        "Redis 6.2 or newer, or Valkey, with scripts and channels.",
    ),
    _Rule(
        r"Unknown Redis command",
        "This Redis does not know a command that Siftly uses. Siftly needs Redis 6.2 or newer, or "
        "Valkey.",
    ),
    _Rule(
        r"-2 connecting|-3 connecting|-5 connecting|Name or service not known|nodename nor "
        r"servname|Temporary failure in name resolution|No address associated",
        "The host name in REDIS_URL is unknown. Copy the address from your Redis service again.",
    ),
    _Rule(
        r"WRONG_VERSION_NUMBER|wrong version number|record layer failure|SSLError|\bSSL\b",
        f"The TLS connection to Redis failed. {_TLS}",
    ),
    _Rule(
        r"^TimeoutError: Timeout connecting|timed out connecting",
        f"Redis did not accept a connection in time. Is the service running? {_TLS}",
    ),
    _Rule(
        r"^TimeoutError|timed out",
        "Redis did not answer in time. Check the service's load, and its distance.",
    ),
    _Rule(
        r"Connection refused|No such file or directory",
        "Redis is not running at the address in REDIS_URL: the connection is refused.",
    ),
    _Rule(
        r"No route to host|Network is unreachable|Host is down",
        "Redis' address in REDIS_URL can't be reached from here. Copy it from your Redis service "
        "again: it may be an address for other networks.",
    ),
    _Rule(
        r"^ConnectionError|^Connection\w*Error|OSError|Connection closed|reset by peer",
        "The connection to Redis broke. If this Redis requires TLS, REDIS_URL must start with "
        "rediss://.",
    ),
)


def sentence(error: BaseException) -> str:
    """For operators: one line, without a script and without an error code."""
    cause = error.__cause__ if isinstance(error, ConnectionInterrupted) else None
    text = f"{type(cause or error).__name__}: {_without_script(str(cause or error))}"
    for rule in _RULES:
        if found := re.search(rule.pattern, text):
            return rule.sentence.format(*found.groups())
    return f"Redis returned an error that Siftly does not know: {text[:MAX_LENGTH]}"


def _without_script(text: str) -> str:
    """redis-py puts a pipeline's command, and so the script, before the error. Redis puts the
    place in the script behind it."""
    text = text.rpartition("of pipeline caused error: ")[2]
    text = _PLACE_BEFORE.sub("", _PLACE_BEHIND.sub("", text))
    return " ".join(text.split())
