"""Airtable's change feed: webhooks, their payloads, and the notifications that they send.

May import from `data` and `common`. Start reading at `registry.py`. Airtable's description:
https://airtable.com/developers/web/api/webhooks-overview
"""
