"""Tests the documentation: the commands run, the variables exist, the links have a target."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

import pytest
import requests

from tests.docs.pages import DOCUMENTS, blocks
from tests.support.servers.ports import free_port
from tests.support.servers.processes import start
from tests.support.servers.server import ROOT, manage
from tests.support.services import platforms

README = (ROOT / "README.md").read_text(encoding="utf-8")
TRY_IT = (ROOT / "docs/start/try-it.md").read_text(encoding="utf-8")
OWN_BASE = (ROOT / "docs/start/own-base.md").read_text(encoding="utf-8")
MAX_README_LINES = 120


def test_every_link_has_an_existing_file() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
        targets += re.findall(r'(?:src|srcset)="([^":]+)"', text)
        missing = [each for each in targets if not (document.parent / each).exists()]
        assert not missing, document


def test_the_readme_is_short_and_has_the_commands_of_the_guides() -> None:
    assert len(README.splitlines()) <= MAX_README_LINES
    tried = [line for block in blocks(README, "sh") for line in block.splitlines()]
    assert tried == ["make run", ". .run/env", tried[2], "make test"]
    assert tried[2] in TRY_IT
    [own_base] = blocks(README, "bash")
    assert own_base == "".join(blocks(OWN_BASE, "sh"))


def test_make_without_a_target_lists_all_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "lint", "bench", "docs", "doctor"):
        assert re.search(rf"^{target}\s", listed, re.M)


@contextlib.contextmanager
def running(
    port: int, run_dir: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """Runs `make run` and yields its welcome text. Sends Ctrl-C afterwards."""
    env = {
        "PATH": os.environ["PATH"],
        "TMPDIR": os.environ["TMPDIR"],
        "PORT": str(port),
        "ENV_FILE": os.devnull,
        "RUN_DIR": str(run_dir),
        **variables,
    }
    run_dir.mkdir(exist_ok=True)
    output = run_dir / "output"
    output.unlink(missing_ok=True)
    process = start(["-m", "sandbox"], env, output)
    try:
        until = time.monotonic() + 180
        while not (output.exists() and "Ctrl-C" in output.read_text()):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < until, output.read_text()
            time.sleep(0.05)
        yield output.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_make_run_and_the_commands_of_try_it_work_twice(tmp_path: Path) -> None:
    """Also the edit in Airtable, which is live within seconds."""
    commands = [line for block in blocks(TRY_IT, "sh") for line in block.splitlines()]
    recipe = subprocess.run(
        ["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python -m sandbox" in recipe.stdout
    for names in (list(platforms()), []):
        port = free_port()
        with running(port, tmp_path, {"AIRTABLE_CHANGES": "push"}) as welcome:
            assert exported(tmp_path / "env")["AIRTABLE_CHANGES"] == "push"
            placed = re.search(r"Place a call\s+(.*)", welcome)
            assert placed
            assert "John Doe" in shell(placed[1])
            # The second time only the first and the last command, which is the edit.
            *before, edit = (
                each.replace(".venv/bin/python", sys.executable).replace(
                    ".run/env", str(tmp_path / "env")
                )
                for each in (commands if names else [commands[0], commands[-1]])
            )
            output = shell("\n".join(before))
            wait_until_airtable_has_no_request(tmp_path / "env")
            output += shell(f"{before[0]}\n{edit}")
            assert ("nl-be_agent_name" if names else "standard") in output
            place_calls(tmp_path / "env", port, names)
            if not names:
                wait_until_the_edit_is_live(tmp_path / "env")
            login = re.search(r"Admin\s+(\S+)\s+login: (\w+), password (\S+)", welcome)
            assert login
            assert can_log_in(*login.groups())
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2)
    assert not (tmp_path / "env").exists()


def place_calls(env: Path, port: int, names: list[str]) -> None:
    url = f"http://127.0.0.1:{port}"
    for name in names:
        placed = manage(
            "place_call", "+32460234291", "--url", url, "--platform", name, **exported(env)
        )
        assert "John Doe" in unquote(placed.stdout), placed.stderr
        assert "200 in " in placed.stdout


def exported(env: Path) -> dict[str, str]:
    """The variables in the file of `make run`."""
    return dict(re.findall(r"^export (\w+)='(.*)'$", env.read_text(), re.M))


def shell(script: str, variables: Mapping[str, str] = MappingProxyType({})) -> str:
    env = {
        "PATH": os.environ["PATH"],
        "TMPDIR": os.environ["TMPDIR"],
        "ENV_FILE": os.devnull,
        **variables,
    }
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def can_log_in(url: str, user: str, password: str) -> bool:
    with requests.Session() as session:
        page = session.get(f"{url}login/", timeout=10)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token
        form = {
            "username": user,
            "password": password,
            "csrfmiddlewaretoken": token[1],
            "next": "/admin/",
        }
        return "Site administration" in session.post(f"{url}login/", data=form, timeout=10).text


def wait_until_airtable_has_no_request(env: Path) -> None:
    """For over a second: Airtable rejects the sixth request in a second."""
    url = f"{exported(env)['AIRTABLE_API_URL']}/_sandbox/requests"
    until = time.monotonic() + 60
    while True:
        newest = requests.get(url, timeout=10).json()["requests"][-1]["started_at"]
        if time.monotonic() - newest > 1.2:
            return
        assert time.monotonic() < until
        time.sleep(0.1)


def wait_until_the_edit_is_live(env: Path) -> None:
    """The last command of *Try it* has edited the account."""
    until = time.monotonic() + 30
    while '"standard"' not in manage("place_call", "+32460234291", **exported(env)).stdout:
        assert time.monotonic() < until


@pytest.mark.parametrize(("port", "listens_on"), [("", "127.0.0.1:8000"), ("8123", "0.0.0.0:8123")])
def test_gunicorn_listens_where_the_reference_says(port: str, listens_on: str) -> None:
    """According to gunicorn's configuration, without a start."""
    code = "from gunicorn.config import Config; print(*Config().settings['bind'].value)"
    variables = {
        "PATH": os.environ["PATH"],
        "TMPDIR": os.environ["TMPDIR"],
        **({"PORT": port} if port else {}),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == listens_on


def test_the_reference_states_the_number_of_processes() -> None:
    conf = (ROOT / "gunicorn.conf.py").read_text(encoding="utf-8")
    assert "max(2, min(os.cpu_count() or 1, 4))" in conf
    settings = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    assert "one per core, at least two and at most four" in settings


@pytest.mark.slow
def test_make_run_reports_a_port_that_is_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {
            "PATH": os.environ["PATH"],
            "TMPDIR": os.environ["TMPDIR"],
            "PORT": str(taken.getsockname()[1]),
            "ENV_FILE": os.devnull,
        }
        command = [sys.executable, "-m", "sandbox"]
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 1
    assert "can't be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_platform_is_in_the_guide() -> None:
    guide = (ROOT / "docs/platforms.md").read_text(encoding="utf-8")
    for platform in platforms().values():
        row = re.search(
            rf"^\| `{platform.name}` \| `{platform.secrets_setting}` \|.*$", guide, re.M
        )
        assert row
        assert re.search(rf"\| {platform.deadline_seconds:g} s\b", row[0])


def test_the_response_in_the_readme_is_that_of_the_guide() -> None:
    [shown] = blocks(README, "json")
    assert json.loads(shown)["call_inbound"]["dynamic_variables"]["nl-be_agent_name"] == "Tom"
    assert [shown] == blocks(TRY_IT, "json")


def test_only_one_page_contains_the_monthly_cost_of_redis() -> None:
    pages_with_the_cost = [
        path.name
        for path in DOCUMENTS
        if re.search(r"(\d million|\d,\d{3}) \|.*\d million|per 100,000", path.read_text())
    ]
    assert pages_with_the_cost == ["redis.md"]
    for name in ("guides/render.md", "guides/change-feed.md", "understanding/decisions.md"):
        assert "redis.md#redis-commands-a-month" in (ROOT / "docs" / name).read_text()
