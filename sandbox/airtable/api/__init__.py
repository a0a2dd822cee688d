"""The routes of Airtable's Web API: from a request to the data or the webhooks, and to JSON.

May import from `webhooks`, `faults`, `data`, `formulas` and `common`. Start reading at `routes.py`.
"""
