"""Django's system checks of the settings: each problem has a message with an id and a hint."""

import base64
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage, run_checks

from siftly.databases import sqlite
from tests.support.servers.server import ROOT, manage

RENDER = {
    "RENDER": "true",
    "RENDER_EXTERNAL_URL": "https://siftly.onrender.com",
    "RENDER_EXTERNAL_HOSTNAME": "siftly.onrender.com",
}
PRODUCTION = {
    "SECRET_KEY": secrets.token_urlsafe(33),  # 44 letters, as Render generates them
    "DATABASE_URL": "postgres://siftly:siftly@127.0.0.1:1/siftly",
    "REDIS_URL": "redis://127.0.0.1:1",
    "AIRTABLE_API_KEY": "pat1",
    "AIRTABLE_BASE_ID": "app1",
    "METRICS_TOKEN": secrets.token_hex(24),
}
SECRET = re.compile("KEY|TOKEN|SECRET|REDIS_URL|ALERT_URLS")
ID = re.compile(r"siftly\.[EIW]\d{3}")


def messages_by_id() -> dict[str, CheckMessage]:
    """Of Siftly's own checks."""
    ours = [each for each in run_checks() if (each.id or "").startswith("siftly.")]
    return {each.id or "": each for each in ours}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"DEBUG": True, "ON_RENDER": True}, "siftly.E011"),
        ({"ALLOWED_HOSTS": ["*"]}, "siftly.W006"),
        ({"PUBLIC_URL": "http://siftly.example.com"}, "siftly.W007"),
        ({"ON_RENDER": True}, "siftly.W009"),
        ({"METRICS_TOKEN": "metrics"}, "siftly.W010"),
        ({"METRICS_TOKEN": "a" * 40}, "siftly.W010"),
        ({"VAPI_WEBHOOK_SECRET": [secrets.token_hex(16), "vapi"]}, "siftly.W011"),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=none"}, "siftly.W012"),
        ({"AIRTABLE_API_URL": "http://airtable.example.com"}, "siftly.W013"),
        ({"AIRTABLE_API_KEY": "key" + "A1" * 7}, "siftly.E012"),
        ({"REDIS_URL": "redis://x.upstash.io:6379"}, "siftly.E005"),
        ({"REDIS_URL": "rediss://x.upstash.io:6379/3"}, "siftly.E006"),
        ({"AIRTABLE_CHANGES": "push", "PUBLIC_URL": None}, "siftly.E009"),
        ({"AIRTABLE_CHANGES": "poll", "REDIS_URL": None}, "siftly.W004"),
        ({"RETELL_API_KEY": []}, "siftly.W002"),
        ({"TO_NUMBERS": ["nobody"]}, "siftly.E004"),
        ({"AIRTABLE_MAPPING": "/nowhere.toml"}, "siftly.E003"),
        ({"TELNYX_PUBLIC_KEY": ["no key"]}, "siftly.E008"),
        ({"ALERT_URLS": ["jsons://chat.example.com/hook", "nonsense"]}, "siftly.E013"),
        ({"ALERT_URLS": ["json://chat.example.com/hook"]}, "siftly.W016"),
        ({"VAPI_ASSISTANT_ID": "assistant"}, "siftly.W015"),
        ({"TWILIO_CONNECT_URL": "wss://agent.example.com"}, "siftly.W015"),
        ({"OPENAI_WEBHOOK_SECRET": ["whsec_" + "QUJD" * 12]}, "siftly.W018"),
        ({"OPENAI_API_URL": "http://openai.example.com"}, "siftly.W019"),
        ({"AIRTABLE_CHANGES": "poll"}, "siftly.I001"),
        ({"ALERT_URLS": ["mailtos://you:password@example.com"]}, "siftly.I001"),
        ({"ALERT_URLS": ["jsons://chat.example.com/hook"]}, "siftly.I001"),
    ],
)
def test_each_problem_has_an_id_and_a_hint(
    changes: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert expected not in messages_by_id()
    for name, value in changes.items():
        # Not with the fixture `settings`: no services can be built from some of these values.
        monkeypatch.setattr(settings, name, value)
    message = messages_by_id()[expected]
    assert message.hint
    for name, value in changes.items():
        if SECRET.search(name):
            secrets_set = value if isinstance(value, list) else [value]
            assert not [each for each in secrets_set if str(each) in str(message)]


@pytest.mark.parametrize(
    "changes",
    [
        {"PUBLIC_URL": "http://127.0.0.1:8000"},
        {"PUBLIC_URL": "https://siftly.example.com"},
        {"AIRTABLE_API_URL": "http://localhost:9000"},
        {"REDIS_URL": "rediss://x.upstash.io:6379/0"},
        {"REDIS_URL": "rediss://h?ssl_cert_reqs=required&ssl_ca_certs=/f"},
        {"RETELL_API_KEY": ["short"]},  # Retell creates it
        {"ALERT_URLS": ["json://127.0.0.1:9/hook"], "AIRTABLE_PLAN": "team"},
        {"AIRTABLE_CHANGES": "poll", "REDIS_URL": "redis://h", "AIRTABLE_PLAN": "free"},
        {"VAPI_ASSISTANT_ID": "assistant", "VAPI_WEBHOOK_SECRET": [secrets.token_hex(24)]},
    ],
)
def test_valid_settings_have_no_message(changes: dict[str, Any], settings: Any) -> None:
    before = set(messages_by_id())
    for name, value in changes.items():
        setattr(settings, name, value)
    assert set(messages_by_id()) <= before


FROM_STARTPROJECT = "django-insecure-" + secrets.token_hex(24)


@pytest.mark.parametrize(
    "key",
    ["", "key", "a" * 60, FROM_STARTPROJECT],
    ids=["none", "short", "monotonous", "startproject's"],
)
def test_a_guessable_secret_key_is_an_error_only_in_production(
    key: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", key)
    assert {"siftly.W003", "siftly.W005"} & set(messages_by_id())
    settings.HTTPS_ONLY = settings.ON_RENDER = True
    assert {"siftly.E002", "siftly.E010"} & set(messages_by_id())


def test_random_secret_keys_have_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(50):
        for key in (secrets.token_hex(24), secrets.token_urlsafe(33)):
            monkeypatch.setenv("SECRET_KEY", key)
            assert not {"siftly.W005", "siftly.E010"} & set(messages_by_id())


def test_the_command_in_the_hint_for_a_guessable_secret_makes_a_valid_one(settings: Any) -> None:
    settings.STANDARD_WEBHOOK_SECRET = ["whsec_" + base64.b64encode(b"short").decode()]
    hint = str(messages_by_id()["siftly.W011"].hint)
    command = hint.partition(": ")[2]
    made = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    settings.STANDARD_WEBHOOK_SECRET = [made.strip()]
    assert not {"siftly.W011", "siftly.E008"} & set(messages_by_id())


def test_each_id_is_once_in_the_source_and_once_in_the_table() -> None:
    sources = [each.read_text() for each in sorted((ROOT / "siftly/checks").glob("*.py"))]
    ids = ID.findall("".join(sources))
    table = re.findall(
        rf"^\| `({ID.pattern})`", (ROOT / "docs/reference/checks.md").read_text(), re.M
    )
    assert sorted(ids) == table == sorted(set(table))


@pytest.mark.slow
def test_a_deployment_on_render_has_no_warning() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, **RENDER)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_deployment_elsewhere_has_no_warning_if_public_url_is_set() -> None:
    variables = {**PRODUCTION, "PUBLIC_URL": "https://siftly.example.com"}
    done = manage("check", "--deploy", "--fail-level", "WARNING", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    without = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert without.returncode == 1
    assert "siftly.W008" in without.stderr


def test_a_database_file_that_others_can_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a file.sqlite3"
    file.touch(mode=0o644)
    for name, value in sqlite(file).items():
        monkeypatch.setitem(settings.DATABASES["default"], name, value)
    assert messages_by_id()["siftly.W017"].hint == f"Take it from them: chmod 600 '{file}'*"
    file.chmod(0o600)
    assert "siftly.W017" not in messages_by_id()
