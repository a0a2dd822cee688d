"""With secrets that can be recognised everywhere, and everything going right and wrong, none of
them stands in any output: logs, answers, pages, metrics, errors, what objects say of themselves."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib import admin
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.models import ChangeFeed
from sandbox.airtable.faults import Fault
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox
from tests.support.cast import NUMBER
from tests.support.platforms import stand_ins
from tests.support.postgres import PASSWORD, Postgres
from tests.support.server import Server, free_port, manage, serving
from tests.support.valkeys import TlsValkey
from webhooks.platforms import PLATFORMS

NEEDLE = f"n33dle{secrets.token_hex(8)}"
PUBLISHED, FAILED, REFUSED = 0, 1, 2
# Each kind of answer that Airtable may give, or not give, to a refresh, and how that ends.
FAULTS = [
    (Fault(status=401, error="AUTHENTICATION_REQUIRED", times=None), FAILED),
    (Fault(status=403, error="NOT_AUTHORIZED", times=None), FAILED),
    (Fault(status=422, error="UNKNOWN_FIELD_NAME", times=None), REFUSED),
    (Fault(truncated=True, times=1), PUBLISHED),
    (Fault(status=429, error="PUBLIC_API_BILLING_LIMIT_EXCEEDED", times=None), FAILED),
]


@dataclass
class Told:
    """All that anybody was told."""

    texts: list[str] = field(default_factory=list)

    def of(self, command: str, variables: dict[str, str], status: int = 0) -> None:
        done = manage(*command.split(), **variables)
        self.texts += [done.stdout, done.stderr]
        assert done.returncode == status, done.stdout + done.stderr

    def by(self, response: requests.Response) -> requests.Response:
        self.texts += [response.text, str(response.headers), response.url]
        return response


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], token=f"pat{NEEDLE}") as sandbox:
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
        "LOG_LEVEL": "DEBUG",
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_none_is_told(
    variables: dict[str, str],
    airtable: Sandbox,
    tls_valkey: TlsValkey,
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    told = Told()
    told.of("migrate", variables)
    with serving(tmp_path, variables, processes=1) as server:
        commands_that_go_well(told, variables)
        calls(told, server, variables)
        hook_secret = pages(told, server, variables)
        postgres.stop()
        broken = requests.post(f"{server.url}/admin/login/", data=login(), timeout=15)
        postgres.start()
        assert told.by(broken).status_code in (403, 500)
        told.texts.append(server.log.read_text())
    refreshes_that_fail(told, variables, airtable)
    parts_that_are_away(told, variables, tls_valkey)
    everything = "\n".join(told.texts)
    assert len(everything) > 20_000
    for secret in (NEEDLE, tls_valkey.password, PASSWORD, hook_secret, *secrets_in(variables)):
        assert secret
        assert secret not in everything


def secrets_in(variables: dict[str, str]) -> list[str]:
    names = [platform.signing_setting for platform in PLATFORMS.values()]
    return [variables[name] for name in (*names, "SECRET_KEY", "METRICS_TOKEN")]


def login() -> dict[str, str]:
    return {"username": "admin", "password": f"{NEEDLE}-typed"}


def commands_that_go_well(told: Told, variables: dict[str, str]) -> None:
    told.of("refresh_airtable_cache", variables)
    told.of("check_cache", variables)
    told.of("show_config --all", variables)
    told.of("watch_airtable", variables)
    told.of("watch_airtable show", variables)


def calls(told: Told, server: Server, variables: dict[str, str]) -> None:
    for name, platform in PLATFORMS.items():
        url = f"{server.url}/webhooks/{name}/"
        public = f"{variables['PUBLIC_URL']}/webhooks/{name}/"
        sent = platform.place(NUMBER, variables[platform.signing_setting], public)
        good = requests.post(url, data=sent.body, headers=dict(sent.headers), timeout=15)
        assert told.by(good).status_code == 200
        wrong = {key: f"{value}x" for key, value in sent.headers.items() if key != "Content-Type"}
        refused = requests.post(url, data=sent.body, headers=wrong, timeout=15)
        assert told.by(refused).status_code == 401
        told.by(requests.post(url, data=b"{", headers=dict(sent.headers), timeout=15))


def pages(told: Told, server: Server, variables: dict[str, str]) -> str:
    """Also returns what Airtable signs its pings with."""
    for path in ("/healthz", "/readyz", "/admin/", "/nothing", "/metrics"):
        told.by(requests.get(server.url + path, timeout=15))
    token = {"Authorization": f"Bearer {variables['METRICS_TOKEN']}"}
    assert told.by(requests.get(f"{server.url}/metrics", headers=token, timeout=15)).ok
    told.by(requests.get(f"{server.url}/metrics", headers={"Authorization": "x"}, timeout=15))
    told.by(requests.post(f"{server.url}/admin/login/", data=login(), timeout=15))
    ping = {"X-Airtable-Content-MAC": "hmac-sha256=00"}
    told.by(requests.post(f"{server.url}/airtable/changes/", b"{}", headers=ping, timeout=15))
    done = manage(
        "shell",
        "-c",
        "from airtable_sync.models import *; print(ChangeFeed.objects.get().secret)",
        **variables,
    )
    return done.stdout.splitlines()[-1]


def refreshes_that_fail(told: Told, variables: dict[str, str], airtable: Sandbox) -> None:
    for fault, status in FAULTS:
        with faulty(airtable, fault):
            told.of("refresh_airtable_cache --full --json", variables, status)
    told.of("check_cache", variables)  # lifts the block that the quota error began
    gone = airtable.base().table("twilio_number")
    for record in list(gone.records)[:20]:
        gone.delete(record)
    told.of("refresh_airtable_cache --full", variables, REFUSED)


@contextlib.contextmanager
def faulty(airtable: Sandbox, fault: Fault) -> Iterator[None]:
    airtable.faults.add(fault)
    yield
    airtable.faults.clear()


def parts_that_are_away(told: Told, variables: dict[str, str], tls: TlsValkey) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    wrong = {
        "REDIS_URL": tls.url().replace(tls.password, f"{NEEDLE}-wrong"),
        "AIRTABLE_API_URL": f"http://{nowhere}",
        "DATABASE_URL": f"postgres://siftly:{NEEDLE}@{nowhere}/siftly",
    }
    for command in (("check_cache",), ("show_config", "+32460999999"), ("watch_airtable",)):
        done = manage(*command, **{**variables, **wrong})
        told.texts += [done.stdout, done.stderr]
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    told.of("check_cache", {**variables, "REDIS_URL": wrong["REDIS_URL"]}, 1)
    without_database = {**variables, "DATABASE_URL": wrong["DATABASE_URL"]}
    told.of("refresh_airtable_cache", without_database, REFUSED)  # still so few numbers
    told.of("check", {**variables, "DATABASE_URL": f"nope://u:{NEEDLE}@h/d"}, 1)
    told.of("check", {**variables, "REDIS_URL": f"redis://:{NEEDLE}@h/?x=1"}, 1)


def test_an_error_page_in_development_hides_addresses_and_keys(settings: Any) -> None:
    settings.DEBUG = True
    settings.REDIS_URL = f"redis://:{NEEDLE}@h"
    settings.CACHES = {"default": {"LOCATION": f"redis://:{NEEDLE}@h"}}
    for name in ("SECRET_KEY", "AIRTABLE_API_KEY", "METRICS_TOKEN", "RETELL_API_KEY"):
        setattr(settings, name, NEEDLE)
    for platform in PLATFORMS.values():
        setattr(settings, platform.secrets_setting, [NEEDLE])
    request = RequestFactory().get(
        "/", headers={"Authorization": NEEDLE, "Cookie": f"sessionid={NEEDLE}"}
    )
    error = ValueError("something unforeseen")
    reporter = ExceptionReporter(request, ValueError, error, None)
    for page in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert "REDIS_URL" in page
        assert NEEDLE not in page


def test_nothing_says_a_secret_of_itself(settings: Any) -> None:
    settings.AIRTABLE_API_KEY = NEEDLE
    for platform in PLATFORMS.values():
        setattr(settings, platform.secrets_setting, [NEEDLE])
    airtable = Airtable(REFRESH_LIMITS)
    feed = ChangeFeed(base="app1", secret=NEEDLE)
    things = [airtable, vars(airtable), feed, *PLATFORMS.values(), *map(vars, PLATFORMS.values())]
    assert NEEDLE not in "".join(f"{each!r} {each!s}" for each in things)
    assert NEEDLE not in json.dumps(str(settings.ENVIRONMENT_PROBLEMS))


def test_the_admin_does_not_show_the_hooks_secret() -> None:
    shown = admin.site._registry.get(ChangeFeed)
    assert shown is None or "secret" in (shown.exclude or ())
