"""No secret is in any output, in success and in failure: logs, answers, pages, metrics, errors,
representations of objects. All secrets contain a text that can be searched for."""

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib import admin
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.models import ChangeFeed
from airtable_sync.monitoring.alerts.sending import AlertSender
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.support.cast import NUMBER
from tests.support.console import Console, console
from tests.support.platforms import stand_ins
from tests.support.servers.ports import free_port
from tests.support.servers.postgres import PASSWORD, Postgres
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.valkeys import TlsValkey
from tests.support.services import platforms, services

NEEDLE = f"n33dle{secrets.token_hex(8)}"
MAC_SECRET = "from airtable_sync.models import *; print(ChangeFeed.objects.get().mac_secret)"
PUBLISHED, FAILED, REFUSED = 0, 1, 2
# Each kind of error that a refresh may get from Airtable, and the exit status of the refresh.
FAULTS = [
    (Fault(status=401, error="AUTHENTICATION_REQUIRED", times=None), FAILED),
    (Fault(status=403, error="NOT_AUTHORIZED", times=None), FAILED),
    (Fault(status=422, error="UNKNOWN_FIELD_NAME", times=None), REFUSED),
    (Fault(truncated=True, times=1), PUBLISHED),
    (Fault(status=429, error="PUBLIC_API_BILLING_LIMIT_EXCEEDED", times=None), FAILED),
]


@dataclass
class Output:
    """All output, of commands and of responses."""

    texts: list[str] = field(default_factory=list)

    def add_process(self, command: str, variables: dict[str, str], status: int = 0) -> None:
        done = manage(*command.split(), **variables)
        self.texts += [done.stdout, done.stderr]
        assert done.returncode == status, done.stdout + done.stderr

    def add_command(self, command: str, shared: Console, status: int = 0) -> None:
        """The log lines are in the console's file, which is added at the end."""
        until = time.monotonic() + 60
        while True:
            done, text = shared.command(*command.split())
            self.texts.append(text)
            # Else the change feed's refresh is running.
            if '"busy"' not in text and "Another refresh is running" not in text:
                break
            assert time.monotonic() < until, text
        assert done == status, text

    def add_response(self, response: requests.Response) -> requests.Response:
        self.texts += [response.text, str(response.headers), response.url]
        return response


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], token=f"pat{NEEDLE}", requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture
def variables(tls_valkey: TlsValkey, airtable: Sandbox, postgres: Postgres) -> dict[str, str]:
    chosen = ("ELEVENLABS_WEBHOOK_SECRET", "VAPI_WEBHOOK_SECRET", "SYNTHFLOW_WEBHOOK_SECRET")
    others = ("TWILIO_AUTH_TOKEN", "RETELL_API_KEY", "METRICS_TOKEN", "SECRET_KEY")
    return {
        **stand_ins(),
        **{name: f"{NEEDLE}{name.lower()}" for name in (*chosen, *others)},
        "DATABASE_URL": postgres.url,
        "REDIS_URL": tls_valkey.url(),
        "AIRTABLE_API_URL": airtable.url,
        "AIRTABLE_API_KEY": airtable.token,
        "AIRTABLE_BASE_ID": airtable.base().id,
        "AIRTABLE_CHANGES": "push",
        "PUBLIC_URL": "http://127.0.0.1:1",
        "OPENAI_API_KEY": f"sk-{NEEDLE}",
        "OPENAI_API_URL": f"http://{NEEDLE}@127.0.0.1:1",
        "LOG_LEVEL": "DEBUG",
        "ALERT_URLS": f"json://{NEEDLE}:{NEEDLE}@127.0.0.1:{free_port()}/{NEEDLE}",
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_secret_is_in_any_output(
    variables: dict[str, str],
    airtable: Sandbox,
    tls_valkey: TlsValkey,
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    output = Output()
    with console(tmp_path, variables) as shared:
        output.add_command("migrate", shared)
        with serving(tmp_path, variables, processes=1) as server:
            run_commands(output, shared)
            call_every_platform(output, server, variables)
            open_pages(output, server, variables)
            mac_secret = shared.run(MAC_SECRET).strip()
            fail_refreshes(output, shared, airtable)
            postgres.stop()
            broken = requests.post(f"{server.url}/admin/login/", data=login(), timeout=15)
            postgres.start()
            assert output.add_response(broken).status_code in (403, 503)
        log = server.log.read_text()
        for level in ("INFO", "WARNING"):  # Siftly itself has few debug lines, and libraries none
            assert f'"level": "{level}"' in log
        output.texts.append(log)
    output.texts.append((tmp_path / "console.log").read_text())
    stop_parts(output, variables, tls_valkey)
    everything = "\n".join(output.texts)
    assert len(everything) > 20_000
    for secret in (NEEDLE, tls_valkey.password, PASSWORD, mac_secret, *secrets_in(variables)):
        assert secret
        assert secret not in everything


def secrets_in(variables: dict[str, str]) -> list[str]:
    names = [platform.signing_setting for platform in platforms().values()]
    return [variables[name] for name in (*names, "SECRET_KEY", "METRICS_TOKEN")]


def login() -> dict[str, str]:
    return {"username": "admin", "password": f"{NEEDLE}-typed"}


def run_commands(output: Output, shared: Console) -> None:
    output.add_command("refresh_airtable_cache", shared)
    output.add_command("check_cache", shared)
    output.add_command("show_config --all", shared)
    output.add_command("watch_airtable", shared)
    output.add_command("watch_airtable show", shared)
    output.add_command("test_alert", shared, FAILED)


def call_every_platform(output: Output, server: Server, variables: dict[str, str]) -> None:
    for name, platform in platforms().items():
        url = f"{server.url}/webhooks/{name}/"
        public = f"{variables['PUBLIC_URL']}/webhooks/{name}/"
        sent = platform.outgoing_call(NUMBER, variables[platform.signing_setting], public)
        good = requests.post(url, data=sent.body, headers=dict(sent.headers), timeout=15)
        assert output.add_response(good).status_code == 200
        wrong = {key: f"{value}x" for key, value in sent.headers.items() if key != "Content-Type"}
        refused = requests.post(url, data=sent.body, headers=wrong, timeout=15)
        assert output.add_response(refused).status_code == 401
        output.add_response(requests.post(url, data=b"{", headers=dict(sent.headers), timeout=15))


def open_pages(output: Output, server: Server, variables: dict[str, str]) -> None:
    for path in ("/healthz", "/readyz", "/admin/", "/nothing", "/metrics"):
        output.add_response(requests.get(server.url + path, timeout=15))
    token = {"Authorization": f"Bearer {variables['METRICS_TOKEN']}"}
    assert output.add_response(requests.get(f"{server.url}/metrics", headers=token, timeout=15)).ok
    output.add_response(
        requests.get(f"{server.url}/metrics", headers={"Authorization": "x"}, timeout=15)
    )
    output.add_response(requests.post(f"{server.url}/admin/login/", data=login(), timeout=15))
    signature = {"X-Airtable-Content-MAC": "hmac-sha256=00"}
    output.add_response(
        requests.post(f"{server.url}/airtable/changes/", b"{}", headers=signature, timeout=15)
    )


def fail_refreshes(output: Output, shared: Console, airtable: Sandbox) -> None:
    for fault, status in FAULTS:
        with faulty(airtable, fault):
            output.add_command("refresh_airtable_cache --full --json", shared, status)
    output.add_command("check_cache", shared)  # ends the pause after the quota error
    table = airtable.base().table("twilio_number")
    for record in list(table.records)[:20]:
        table.delete(record)
    output.add_command("refresh_airtable_cache --full", shared, REFUSED)


@contextlib.contextmanager
def faulty(airtable: Sandbox, fault: Fault) -> Iterator[None]:
    airtable.faults.add(fault)
    yield
    airtable.faults.clear()


def stop_parts(output: Output, variables: dict[str, str], tls: TlsValkey) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    wrong = {
        "REDIS_URL": tls.url().replace(tls.password, f"{NEEDLE}-wrong"),
        "AIRTABLE_API_URL": f"http://{nowhere}",
        "DATABASE_URL": f"postgres://siftly:{NEEDLE}@{nowhere}/siftly",
    }
    for command in ("check_cache", "show_config +32460999999", "watch_airtable"):
        output.add_process(command, {**variables, **wrong}, FAILED)
        assert "Traceback" not in output.texts[-1]
    output.add_process("check_cache", {**variables, "REDIS_URL": wrong["REDIS_URL"]}, 1)
    without_database = {**variables, "DATABASE_URL": wrong["DATABASE_URL"]}
    output.add_process("refresh_airtable_cache", without_database, REFUSED)  # still too few numbers
    malformed = {
        "DATABASE_URL": f"nope://u:{NEEDLE}@h/d",
        "REDIS_URL": f"redis://:{NEEDLE}@h/?x=1",
        "ALERT_URLS": f"nope://u:{NEEDLE}@h, {NEEDLE}",
    }
    output.add_process("check", {**variables, **malformed}, 1)
    for name in malformed:
        assert name in "".join(output.texts[-2:])


def test_an_error_page_in_development_hides_addresses_and_keys(settings: Any) -> None:
    settings.DEBUG = True
    settings.REDIS_URL = f"redis://:{NEEDLE}@h"
    settings.CACHES = {"default": {"LOCATION": f"redis://:{NEEDLE}@h"}}
    settings.ALERT_URLS = [f"json://{NEEDLE}@localhost/{NEEDLE}"]
    for name in ("SECRET_KEY", "AIRTABLE_API_KEY", "METRICS_TOKEN", "RETELL_API_KEY"):
        setattr(settings, name, NEEDLE)
    for platform in platforms().values():
        setattr(settings, platform.secrets_setting, [NEEDLE])
    request = RequestFactory().get(
        "/", headers={"Authorization": NEEDLE, "Cookie": f"sessionid={NEEDLE}"}
    )
    error = ValueError("something unexpected")
    reporter = ExceptionReporter(request, ValueError, error, None)
    for page in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert "REDIS_URL" in page
        assert NEEDLE not in page


def test_no_representation_has_a_secret(settings: Any) -> None:
    settings.AIRTABLE_API_KEY = settings.OPENAI_API_KEY = NEEDLE
    for platform in platforms().values():
        setattr(settings, platform.secrets_setting, [NEEDLE])
    client = services().new_client(REFRESH_LIMITS)
    feed = ChangeFeed(base="app1", mac_secret=NEEDLE)
    sender = AlertSender([f"json://{NEEDLE}:{NEEDLE}@{NEEDLE}.com/{NEEDLE}"], "Siftly")
    things = [
        services(),
        services().configuration,
        client,
        vars(client),
        feed,
        *platforms().values(),
        *map(vars, platforms().values()),
    ]
    things += [sender, vars(sender), *map(vars, sender._recipients)]
    assert NEEDLE not in "".join(f"{each!r} {each!s}" for each in things)
    assert NEEDLE not in json.dumps(str(settings.ENVIRONMENT_PROBLEMS))


def test_the_admin_does_not_show_the_secret_of_change_notifications() -> None:
    shown = admin.site._registry.get(ChangeFeed)
    assert shown is None or "mac_secret" in (shown.exclude or ())
