"""Workers of gunicorn that could serve instead of `siftly.server.worker.Worker`, for `servers`."""

from typing import Any

from uvicorn_worker import UvicornWorker

from siftly.server.protocol import GuardedProtocol
from siftly.server.worker import Worker


class LongWay(Worker):
    """Ours, without answers at once."""

    CONFIG_KWARGS: dict[str, Any] = {**Worker.CONFIG_KWARGS, "http": GuardedProtocol}


class OnAsyncio(Worker):
    """Ours, on the loop that comes with Python."""

    CONFIG_KWARGS: dict[str, Any] = {**Worker.CONFIG_KWARGS, "loop": "asyncio"}


class Uvicorns(UvicornWorker):  # type: ignore[misc]
    """As it comes, but for its log of requests."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": "httptools",
        "lifespan": "on",
        "access_log": False,
    }
