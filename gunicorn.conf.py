"""How the service is run: `gunicorn siftly.asgi` reads this file by itself.
https://docs.gunicorn.org/en/stable/settings.html"""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402

from siftly.server.gunicorn_log import ServerLog, refuse_to_start_with_errors  # noqa: E402

refuse_to_start_with_errors()

wsgi_app = "siftly.asgi"
worker_class = "siftly.server.worker.Worker"
# WEB_CONCURRENCY decides; without it, one process a core: at least two, for one may be recycled, at
# most four, for each has a copy in memory.
workers = int(os.environ.get("WEB_CONCURRENCY") or max(2, min(os.cpu_count() or 1, 4)))
preload_app = True  # the imports happen once; connections and threads begin in each worker
keepalive = 65  # longer than the proxies in front, so that they never write into a closing socket
timeout = 30
graceful_timeout = 25  # Render gives 30 seconds
control_socket_disable = True
logger_class = ServerLog  # LOG_FORMAT and LOG_LEVEL hold for the server's own lines, too
loglevel = settings.LOG_LEVEL.lower()
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108


def when_ready(_: object) -> None:
    """Processes share what was imported, until a collection of garbage would look at it.
    https://docs.python.org/3/library/gc.html#gc.freeze"""
    gc.freeze()
