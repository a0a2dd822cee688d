"""Databases for the processes that a test starts. The tables are created once per test run."""

import fcntl
import shutil
from pathlib import Path

from tests.support.servers.server import manage
from tests.support.whole_run import run_folder


def new_database(folder: Path) -> dict[str, str]:
    """A new SQLite database that has all tables, as an environment variable."""
    file = folder / "db.sqlite3"
    shutil.copyfile(_migrated_file(), file)
    return {"DATABASE_URL": f"sqlite:///{file}"}


def _migrated_file() -> Path:
    file = run_folder() / "migrated.sqlite3"
    with (run_folder() / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first worker creates it, the others wait
        if not file.exists():
            unfinished = file.with_suffix(".unfinished")
            done = manage("migrate", "-v0", DATABASE_URL=f"sqlite:///{unfinished}")
            assert done.returncode == 0, done.stderr
            unfinished.rename(file)
    return file
