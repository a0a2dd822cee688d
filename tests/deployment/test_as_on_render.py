"""A deployment with the commands and variables of render.yaml: a real PostgreSQL, a Valkey with TLS
and a password, an Airtable over HTTP."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest
import requests

from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import stand_ins
from tests.support.render_yaml import CRON, NOT_SECRET, WEB, Render
from tests.support.servers.ports import free_port
from tests.support.servers.postgres import Postgres
from tests.support.servers.server import Server
from tests.support.servers.valkeys import TlsValkey
from tests.support.services import platforms

pytestmark = pytest.mark.slow

BROWSER = {"X-Forwarded-Proto": "https", "Host": "siftly.onrender.com"}


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], token=f"pat_{secrets.token_hex(12)}") as sandbox:
        yield sandbox


@pytest.fixture
def render(postgres: Postgres, tls_valkey: TlsValkey, airtable: Sandbox) -> Render:
    connections = {"siftly-database": postgres.url, "siftly-cache": tls_valkey.url()}
    entered = {
        **stand_ins(),
        "AIRTABLE_API_KEY": airtable.token,
        "AIRTABLE_BASE_ID": airtable.base().id,
    }
    return Render(free_port(), connections, entered, airtable.url)


@contextmanager
def deployed(render: Render, folder: Path) -> Iterator[Server]:
    """Build, migrate, start, and wait for the health check; at the end, SIGTERM."""
    for command in ("buildCommand", "preDeployCommand"):
        done = render.run(WEB, command)
        assert done.returncode == 0, done.stdout + done.stderr
    process = render.start(WEB, folder / "log")
    server = Server(f"http://127.0.0.1:{render.port}", process, folder / "log")
    try:
        _wait_until_healthy(server)
        yield server
    finally:
        process.terminate()
        process.wait(WEB["maxShutdownDelaySeconds"])


def _wait_until_healthy(server: Server) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and server.process.poll() is None:
        with suppress(requests.RequestException):
            probe = {"Host": f"10.0.0.1:{server.port}"}
            if requests.get(server.url + WEB["healthCheckPath"], headers=probe, timeout=2).ok:
                return
        time.sleep(0.05)
    raise AssertionError(server.log.read_text())


def call(server: Server, render: Render, name: str, host: str = "") -> requests.Response:
    platform = platforms()[name]
    host = host or BROWSER["Host"]
    path = f"/webhooks/{name}/"
    secret = render.entered[platform.signing_setting]
    sent = platform.outgoing_call(NUMBER, secret, f"https://{host}{path}")
    return requests.post(
        server.url + path,
        data=sent.body,
        headers={**sent.headers, **BROWSER, "Host": host},
        timeout=15,
        allow_redirects=False,
    )


def test_a_deployment_becomes_healthy_answers_every_platform_refreshes_and_ends_in_time(
    render: Render, postgres: Postgres, tmp_path: Path
) -> None:
    with deployed(render, tmp_path) as server:
        cold = call(server, render, "retell")
        assert cold.json()["call_inbound"]["dynamic_variables"] == JOHN
        filled = render.run(WEB, "initialDeployHook")
        assert filled.returncode == 0, filled.stderr
        refreshed = render.run(CRON, "startCommand")
        assert refreshed.returncode == 0, refreshed.stderr
        assert (
            "siftly.W" not in refreshed.stderr
        )  # the cron job needs none of the platforms' secrets
        for name in platforms():
            answer = call(server, render, name)
            assert (answer.status_code, name) == (200, name)
            assert answer.headers["X-Siftly-Source"] in ("memory", "redis")
            assert "John Doe" in unquote(answer.text)
        # A custom domain, which is set at Twilio and not in PUBLIC_URL.
        assert call(server, render, "twilio", "calls.example.com").status_code == 200
        page = requests.get(f"{server.url}/admin/login/", headers=BROWSER, timeout=10)
        assert page.ok
        assert "Secure" in page.headers["Set-Cookie"]
        css = f"{server.url}/static/admin/css/base.css"
        assert requests.get(css, headers=BROWSER, timeout=10).ok
        token = {"Authorization": f"Bearer {render.generated['METRICS_TOKEN']}"}
        metrics = requests.get(f"{server.url}/metrics", headers=token, timeout=10).text
        assert re.search(r"siftly_snapshot_numbers\S* 26", metrics)
        assert server.ready()["parts"] == {
            "redis": "available",
            "database": "available",
            "airtable": "configured",
        }
    with psycopg.connect(postgres.url) as connection:
        query = "SELECT status, numbers FROM airtable_sync_run ORDER BY id"
        assert connection.execute(query).fetchone() == ("published", 26)
    assert server.process.returncode == 0
    output = server.log.read_text() + refreshed.stdout + refreshed.stderr
    entered = [value for key, value in render.entered.items() if key not in NOT_SECRET]
    values = [*entered, *render.generated.values(), *render.connections.values()]
    assert not [value for value in values if value in output]


def test_check_deploy_has_no_warning(render: Render) -> None:
    key = {"OPENAI_API_KEY": f"sk-{secrets.token_hex(12)}"}
    render = replace(render, entered={**render.entered, **key})
    check = {**WEB, "startCommand": "python manage.py check --deploy --fail-level WARNING"}
    done = render.run(check, "startCommand")
    assert (done.returncode, done.stderr) == (0, "")
