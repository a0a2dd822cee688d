"""What limits requests to Airtable: its five per second and the plan's monthly quota, for all
processes together, and how long one request may take.

May import `airtable.errors` and every package below `airtable`. Start reading at `rate_limiter.py`.
While Redis is down, each machine keeps the limit on its own: `RateLimiter._host_wait`, with the
times in the file of `rate_limiter_file.py`."""
