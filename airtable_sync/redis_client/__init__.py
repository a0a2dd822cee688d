"""Access to Redis: connections with time limits, the circuit breaker, and Lua scripts.

May import nothing else of airtable_sync. Start reading at `connection.py`."""
