"""What limits requests to Airtable: its five per second and the plan's monthly quota, for all
processes together, and how long one request may take.

May import `airtable.errors` and every package below `airtable`. Start reading at `rate_limiter.py`;
while Redis is down, the limit is kept in the file of `rate_limiter_file.py`."""
