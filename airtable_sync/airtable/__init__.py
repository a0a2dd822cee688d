"""Access to Airtable: the HTTP client, its errors and its limits.

May import `mapping` and every package below it. Start reading at `client.py`, then
`limits/rate_limiter.py`."""
