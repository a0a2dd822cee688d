"""The Django project: settings, the ASGI application, what runs in the background, system checks.

The top of the stack: may import everything. `siftly.server` is the bottom and imports nothing of
ours. Start reading at `asgi.py`, then `web_services.py`."""
