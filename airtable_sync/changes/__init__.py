"""The change feed: Airtable's webhook payloads say what was edited, and those records are read
again. One process, the leader, reads the feed.

An edit takes this way: `notifications.py` (Airtable's POST) → `follower.py` (the leader) →
`apply.py` → `affected.py` (reads the records again and writes the entries) → Redis → the replicas
(`cache/replica_subscription.py`, `cache/replica.py`). May import `refresh` and every package below
it. Start reading at `follower.py`."""
