"""What Siftly is compared with: a server that one would write by hand (FastAPI, Flask), a server
that does nothing (an ASGI application, a Django view), and other gunicorn workers for Siftly
itself. May import `siftly.server`. Start reading at `fastapi_app.py`."""
