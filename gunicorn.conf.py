"""gunicorn's settings. `gunicorn siftly.asgi` reads this file from the working directory.
https://docs.gunicorn.org/en/stable/settings.html"""

import gc
import os
from pathlib import Path

import django
from django.conf import settings

from siftly.checks import at_start
from siftly.server.gunicorn_log import GunicornLogger

os.umask(0o077)  # the files it creates, such as SQLite's, are for this user only
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
django.setup()
at_start.exit_on_errors()

wsgi_app = "siftly.asgi"
worker_class = "siftly.server.worker.Worker"
# Without WEB_CONCURRENCY: one worker per core. At least two, because one may be restarting. At most
# four, because each holds a replica of the cache.
workers = int(os.environ.get("WEB_CONCURRENCY") or max(2, min(os.cpu_count() or 1, 4)))
preload_app = True  # import once; each worker opens its own connections and starts its own threads
keepalive = 65  # longer than a proxy's, so that a proxy never uses a connection that is closing
timeout = 30
graceful_timeout = 25  # Render waits 30 seconds
control_socket_disable = True
logger_class = GunicornLogger
loglevel = settings.LIBRARIES_LOG_LEVEL.lower()  # at debug, it logs the environment in `raw_env`
_memory = Path("/dev/shm")  # noqa: S108 - gunicorn creates its files there with unique names
worker_tmp_dir = str(_memory) if _memory.is_dir() else None


def when_ready(_: object) -> None:
    """Keep the workers' memory shared: a garbage collection would write to all imported objects.
    https://docs.python.org/3/library/gc.html#gc.freeze"""
    gc.freeze()
