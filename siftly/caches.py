"""Django's cache on django-redis, with time limits that suit who waits."""

from typing import Any
from urllib.parse import urlsplit

from redis.backoff import NoBackoff
from redis.retry import Retry


def redis_caches(url: str) -> dict[str, Any]:
    """CACHES for a Redis: "default" for calls, "replica" for the thread that keeps a process's copy
    in step, "patient" for commands."""
    return {
        "default": _cache(url, 0.5, 0.25),
        "replica": _cache(url, 1, 2),
        "patient": _cache(url, 3, 10),
    }


def _cache(url: str, connect_seconds: float, answer_seconds: float) -> dict[str, Any]:
    # django-redis keys its connection pools by address alone, so the time limits stand in the
    # address: each alias then has a pool, and limits, of its own.
    limits = f"socket_connect_timeout={connect_seconds}&socket_timeout={answer_seconds}"
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{url}{'&' if '?' in url else '?'}{limits}",
        "KEY_PREFIX": "siftly",
        "OPTIONS": {
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            # RESP2 and no driver name: two round trips to a first answer instead of five. No
            # retry: a dead pooled connection is noticed without one, and a call cannot wait.
            "CONNECTION_POOL_KWARGS": {
                "protocol": 2,
                "driver_info": None,
                "retry": Retry(NoBackoff(), 0),
                **_greeting(url),
            },
        },
    }


def _greeting(url: str) -> dict[str, str]:
    """After a TLS handshake the server sends session tickets, which redis-py takes for stray data
    on a connection where it has not read an answer yet. A password gets one; else a name does."""
    parts = urlsplit(url)
    return {"client_name": "siftly"} if parts.scheme == "rediss" and not parts.password else {}
