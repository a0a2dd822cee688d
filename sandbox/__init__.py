"""`make run`: Siftly on a developer's machine, without any account. `airtable/` serves Airtable's
HTTP API. Only `__main__.py` and `stand_ins.py` may import `siftly` and `webhooks`. Production
imports nothing from here. Start reading at `__main__.py`."""
