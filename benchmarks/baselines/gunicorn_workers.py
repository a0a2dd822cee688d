"""gunicorn workers that could serve instead of `siftly.server.worker.Worker`, for `make bench
servers`."""

from typing import Any

from uvicorn_worker import UvicornWorker

from siftly.server.request_limits import LimitedProtocol
from siftly.server.worker import Worker


class AsgiOnly(Worker):
    """Siftly's worker without the fast path."""

    CONFIG_KWARGS: dict[str, Any] = {**Worker.CONFIG_KWARGS, "http": LimitedProtocol}


class OnAsyncio(Worker):
    """Siftly's worker on the event loop of Python's standard library."""

    CONFIG_KWARGS: dict[str, Any] = {**Worker.CONFIG_KWARGS, "loop": "asyncio"}


class Uvicorn(UvicornWorker):  # type: ignore[misc]  # uvicorn_worker has no type information
    """uvicorn's own worker, without its access log."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": "httptools",
        "lifespan": "on",
        "access_log": False,
    }
