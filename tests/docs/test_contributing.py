"""The worked example of CONTRIBUTING.md works, and its commands exist."""

import json
import subprocess
from types import SimpleNamespace
from typing import Any

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Headers, Request
from tests.docs.pages import blocks
from tests.support.cast import NUMBER
from tests.support.servers.server import ROOT
from webhooks.platforms.base import Platform

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def request_with(headers: dict[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request("POST", "/webhooks/acme/", Headers.from_raw(raw), "https")


def test_the_platform_of_the_guide_works_and_so_does_its_test() -> None:
    adapter, its_test = blocks(GUIDE, "python")
    names: dict[str, Any] = {"SimpleNamespace": SimpleNamespace, "request_with": request_with}
    exec(compile(adapter, "acme.py", "exec"), names)
    exec(compile(its_test, "test_acme.py", "exec"), names)
    names["test_a_signature_over_another_body_is_refused"]()
    acme: Platform = names["Acme"](SimpleNamespace(ACME_WEBHOOK_SECRET=["secret"]))
    call = acme.parse_call(acme.sample_body(NUMBER, "+32470000001"))
    assert (call.to_number, call.from_number) == (NUMBER, "+32470000001")
    answer = Answer(NUMBER, True, {"customer_name": "John Doe"}, {}, "memory")
    assert json.loads(acme.response(call, answer).body) == {"data": {"customer_name": "John Doe"}}


def test_the_commands_exist() -> None:
    for command in "".join(blocks(GUIDE, "sh")).splitlines():
        assert (
            subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=False).returncode == 0
        )


def test_the_doctor_finds_nothing_missing_where_the_tests_run() -> None:
    done = subprocess.run(["make", "doctor"], cwd=ROOT, capture_output=True, text=True, check=False)
    needed, useful = done.stdout.split("\n\n")
    assert "ok       the module venv" in needed
    assert "Needed for `make run`" in needed
    assert "git" in useful
    assert done.returncode == 0 or "port 8000 can't be used" in needed
