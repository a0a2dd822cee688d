"""The cache: entries in Redis, a replica of them in each process, and snapshots in the database.

When Redis was emptied, `replica_subscription.py` notices it at its next comparison. `replica.py`
continues to answer calls, and `replica_refill.py` writes its entries back. The first write starts a
new epoch (`publish.lua`), at which every replica loads everything. Against the return of a removed
number, `_handle_lost` and `publish.lua` compare with the last refresh.
`keys.py` explains epoch and sequence. May import `redis_client`, `configuration` and `models`.
Start reading at `entry.py`, then `redis_store.py` and `replica.py`."""
