"""Builds settings.CACHES: django-redis with time limits for each use."""

from typing import Any
from urllib.parse import urlsplit

from redis.backoff import NoBackoff
from redis.retry import Retry


def redis_caches(url: str) -> dict[str, Any]:
    """The caches for a Redis: "default" for calls, "background" for background threads,
    "commands" for commands."""
    return {
        "default": _cache(url, 0.5, 0.25),
        "background": _cache(url, 1, 2),
        "commands": _cache(url, 3, 10),
    }


def _cache(url: str, connect_seconds: float, response_seconds: float) -> dict[str, Any]:
    # The time limits are part of the URL, because django-redis shares one connection pool between
    # all caches with the same URL.
    limits = f"socket_connect_timeout={connect_seconds}&socket_timeout={response_seconds}"
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{url}{'&' if '?' in url else '?'}{limits}",
        "KEY_PREFIX": "siftly",
        "OPTIONS": {
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            # RESP2 and no driver name: a new connection's first response takes two round trips
            # instead of five. No retries: a call can't wait for them, and the pool finds and
            # replaces a dead connection without them.
            "CONNECTION_POOL_KWARGS": {
                "protocol": 2,
                "driver_info": None,
                "retry": Retry(NoBackoff(), 0),
                **_client_name(url),
            },
        },
    }


def _client_name(url: str) -> dict[str, str]:
    """Make redis-py send a command, and read its response, right after a TLS handshake.

    The server sends TLS session tickets then. On a connection without a response so far, redis-py
    takes them for unexpected data. With a password it sends AUTH, which is enough. Without one, it
    sends this client name."""
    parts = urlsplit(url)
    return {"client_name": "siftly"} if parts.scheme == "rediss" and not parts.password else {}
