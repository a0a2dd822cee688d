"""All keys of a Redis, kept and brought back later. The client is redis-py's or valkey-py's."""

from typing import Any

Backup = dict[bytes, tuple[bytes, int]]  # a dump, and the milliseconds it has left (0: no limit)


def back_up(client: Any) -> Backup:
    """At one moment. A key that has expired since the list was made is left out."""
    keys = client.keys("*")
    with client.pipeline(transaction=True) as reading:
        for key in keys:
            reading.dump(key)
            reading.pttl(key)
        found = reading.execute()
    values = zip(keys, found[::2], found[1::2], strict=True)
    return {key: (value, max(0, time_to_live)) for key, value, time_to_live in values if value}


def restore(client: Any, backup: Backup) -> None:
    """At once, and nothing else is left."""
    with client.pipeline(transaction=True) as restoring:
        restoring.flushall()
        for key, (value, time_to_live) in backup.items():
            restoring.restore(key, time_to_live, value)
        restoring.execute()
