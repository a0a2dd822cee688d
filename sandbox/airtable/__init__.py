"""Imitates Airtable's Web API over HTTP, in memory, for development and tests.

Packages, top to bottom; each may import only from those below it: `server`, `app` and
`uvicorn_server` (the running sandbox); `control` (routes under /_sandbox/); `api` (Airtable's
routes); `sample`, `webhooks` and `faults`, which do not import each other; `data` (bases, tables,
records); `formulas`; `common`. Start reading at `server.py`, then `app.py`.
"""
