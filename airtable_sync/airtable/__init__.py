"""Access to Airtable: the HTTP client, its errors, the rate limiter and the monthly quota.

May import `mapping` and every package below it. Start reading at
`client.py`, then `rate_limiter.py`."""
