"""Starts the refresh command as a process of its own: it outlives the request, the browser and the
web process. Only one runs at a time: the command's own lease sees to that."""

import logging
import subprocess
import sys
import threading

from django.conf import settings
from django.utils import timezone

from airtable_sync.cache.redis_store import CALLS, REFRESH_LOCK
from airtable_sync.models import Lease, Run

logger = logging.getLogger(__name__)


def start(*arguments: str, user: str) -> None:
    """Its log goes where ours goes."""
    command = [sys.executable, "manage.py", "refresh_airtable_cache"]
    command += ["--by", Run.By.ADMIN, "--user", user, *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=settings.BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    # Somebody has to wait for a child that ended, or it stays as a zombie.
    threading.Thread(target=_wait, args=(process,), name="refresh", daemon=True).start()


def who_runs() -> Run | None:
    """The refresh or rollback that runs now. Raises CacheUnavailable and DatabaseError."""
    if settings.REDIS_URL:
        is_leased = CALLS.is_held(REFRESH_LOCK)
    else:
        is_leased = Lease.objects.filter(name=REFRESH_LOCK, until__gt=timezone.now()).exists()
    running = Run.objects.defer("details").filter(status=Run.Status.RUNNING)
    return running.first() if is_leased else None


def _wait(process: "subprocess.Popen[bytes]") -> None:
    status = process.wait()
    logger.info("The refresh that was started in the admin ended with %d", status)
