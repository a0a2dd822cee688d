"""gunicorn workers that could serve instead of `siftly.server.worker.Worker`, for `make bench
servers`."""

from typing import Any

from uvicorn_worker import UvicornWorker

from siftly.server.connection import Connection
from siftly.server.worker import Worker


class WithoutFastPath(Connection):
    def _may_take_fast_path(self) -> bool:
        return False


class AsgiOnly(Worker):
    """Siftly's worker without the fast path."""

    CONFIG_KWARGS: dict[str, Any] = {**Worker.CONFIG_KWARGS, "http": WithoutFastPath}


class Httptools(Worker):
    """Siftly's application on uvicorn's fastest protocol, which is not strict."""

    CONFIG_KWARGS: dict[str, Any] = {**Worker.CONFIG_KWARGS, "http": "httptools"}


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
