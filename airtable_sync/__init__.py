"""Answers what an agent should know about a called number, from a cache of Airtable.

Its packages are stacked; each imports only from those below it: management, admin → status →
services → privacy → monitoring → changes → refresh → lookup → airtable → mapping → cache →
redis_client → configuration, models. It does not import `webhooks`; it may import `siftly.server`.
Start reading at `lookup/answerer.py` for a call, at `refresh/refresh.py` for a refresh, and at
`services.py` for how it fits together."""
