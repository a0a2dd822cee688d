"""Routes that Airtable does not have: under /_sandbox/, to show and change the sandbox's state.

May import from `api`, `webhooks`, `faults` and `common`. Start reading at `routes.py`.
"""
