"""Starts the refresh command as a process of its own, which outlives the request, the browser and
the web process."""

import logging
import subprocess
import sys
import threading
from pathlib import Path

from django.utils import timezone

from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.models import Lease, Run

logger = logging.getLogger(__name__)


def start_refresh(
    *arguments: str, folder: Path, user: str = "", trigger: str = Run.Trigger.ADMIN
) -> None:
    """The refresh lock prevents a second refresh."""
    words = ("--trigger", trigger, "--user", user, *arguments)
    start_command("refresh_airtable_cache", *words, folder=folder)


def start_command(name: str, *arguments: str, folder: Path) -> None:
    """Run a management command. Its process logs to the same place. Raises OSError."""
    command = [sys.executable, "manage.py", name, *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own command, no shell
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    # Without a wait the ended process would stay as a zombie.
    threading.Thread(target=_wait, args=(process, name), name=name, daemon=True).start()


def running_refresh(store: RedisStore | None) -> Run | None:
    """The refresh or rollback that is running. `store` is None where there is no Redis. Raises
    CacheUnavailable and DatabaseError."""
    is_locked = store.exists(REFRESH_LOCK) if store else is_locked_in_database()
    running = Run.objects.defer("details").filter(status=Run.Status.RUNNING)
    return running.first() if is_locked else None


def is_locked_in_database() -> bool:
    return Lease.objects.filter(name=REFRESH_LOCK, expires_at__gt=timezone.now()).exists()


def _wait(process: "subprocess.Popen[bytes]", name: str) -> None:
    status = process.wait()
    logger.info("%s, which this process started, ended with status %d", name, status)
