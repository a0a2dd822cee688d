"""The command python -m sandbox.airtable."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "sandbox.airtable"]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it printed."""
    command = [*COMMAND, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, line
            yield process, found[0]
        finally:
            process.kill()


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *options]
    return subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)


def test_it_serves_both_layouts_until_sigterm() -> None:
    with running("--layout", "both", "--token", "secret", "--quota", "3") as (process, url):
        headers = {"Authorization": "Bearer secret"}
        linked = requests.get(f"{url}/v0/appSiftlySandbox0/client", headers=headers, timeout=30)
        flat = requests.get(f"{url}/v0/appSiftlySandbox1/customers", headers=headers, timeout=30)
        assert len(linked.json()["records"]) == len(flat.json()["records"]) == 26
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_ctrl_c_stops_it_while_a_request_waits() -> None:
    with running("--latency", "20") as (process, url):
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{url}/v0/meta/whoami", timeout=0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_port_in_use_gives_an_error_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("--port", port)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {port} cannot be used: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--latency", "-1"],
        ["--webhook-time-scale", "0"],
        ["--layout", "round"],
        ["--nonsense"],
    ],
)
def test_a_wrong_option_is_rejected(options: list[str]) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert "usage: python -m sandbox.airtable" in done.stderr


def test_help_names_every_option() -> None:
    done = run("--help")
    names = ["port", "token", "layout", "latency", "latency-jitter", "lockout", "quota"]
    for option in [*names, "requests-per-second", "notification-delay", "webhook-time-scale"]:
        assert re.search(rf"^  --{option}\b", done.stdout, re.MULTILINE)
