"""The cache: entries in Redis, a replica of them in each process, and snapshots in the database.

After Redis was emptied, `publish.lua` starts a new epoch, and `replica.py` writes the entries back
(`_handle_lost`, `_refill_redis`). May import `redis_client`, `configuration` and `models`. Start
reading at `entry.py`, then `redis_store.py` and `replica.py`."""
