"""Airtable's change feed.

https://airtable.com/developers/web/api/webhooks-overview
"""
