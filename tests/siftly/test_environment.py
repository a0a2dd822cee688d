"""Wrong environment variables are reported by name, all together, and without secrets."""

import re
import subprocess
import sys

import pytest
from environs import EnvError

from siftly import environment as siftly_environment
from tests.support.render_yaml import WEB, variables
from tests.support.servers.ports import free_port
from tests.support.servers.server import ROOT, environment, manage
from tests.support.services import platforms

pytestmark = pytest.mark.slow

GOOD = {
    "REDIS_URL": "redis://127.0.0.1:6379",
    "AIRTABLE_API_KEY": "pat1",
    "AIRTABLE_BASE_ID": "app1",
    "AIRTABLE_PLAN": "team",
}
BAD = {
    "DEBUG": "maybe",
    "DATABASE_URL": "nope://user:hunter2@host/db",
    "REDIS_URL": "http://:hunter2@host",
    "AIRTABLE_API_URL": "airtable",
    "OPENAI_API_URL": "https://hunter2:x",
    "OPENAI_API_KEY": "sk hunter2",
    "OPENAI_WEBHOOK_SECRET": "whsec_hunter2!",
    "PUBLIC_URL": "hunter2",
    "CACHE_TTL_SECONDS": "three hours",
    "CACHE_STALE_SECONDS": "-1",
    "CACHE_NEGATIVE_SECONDS": "0",
    "LOOKUP_DEADLINE_SECONDS": "0",
    "DEFAULT_VARIABLES": '{"name": 5}',
    "ELEVENLABS_WEBHOOK_SECRET": "good,hunter2 and more",
    "TELNYX_PUBLIC_KEY": "hunter2",
    "STANDARD_WEBHOOK_SECRET": "whsec_hunter2!",
    "TWILIO_CONNECT_URL": "https://hunter2",
    "PLIVO_CONNECT_URL": "https://hunter2",
    "SIGNALWIRE_SWML_URL": "http://hunter2",
    "LOG_LEVEL": "loud",
    "AIRTABLE_MAPPING": "/nowhere.toml",
    "AIRTABLE_API_KEY": "pat with\na break",
    "AIRTABLE_BASE_ID": "app/../x y",
    "PORT": "abc",
    "WEB_CONCURRENCY": "0",
    "ALERT_URLS": "jsons://hunter2.example.com, hunter2",
    "EMAIL_URL": "smtps://ada:hunter2@mail.example",
}


def test_good_values_pass_without_output() -> None:
    done = manage("check", **GOOD)
    assert (done.returncode, done.stderr) == (0, "")


def test_all_bad_values_are_reported_together_without_a_traceback_or_a_secret() -> None:
    done = manage("check", **{**GOOD, **BAD})
    assert done.returncode == 1
    named = set(re.findall(r"^\?: \(siftly\.\w+\) (\w+)[: ]", done.stderr, re.MULTILINE))
    assert named == set(BAD)
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_missing_values_are_reported_together() -> None:
    done = manage("check", SECRET_KEY="", RETELL_API_KEY="")
    for name in ("AIRTABLE_API_KEY", "AIRTABLE_BASE_ID", "REDIS_URL", "SECRET_KEY"):
        assert f"{name} is not set" in done.stderr
    for platform in platforms().values():
        assert platform.secrets_setting in done.stderr


def test_on_render_a_secret_key_is_required() -> None:
    done = manage("check", SECRET_KEY="", RENDER="true", **GOOD)
    assert done.returncode == 1
    assert "SECRET_KEY is not set" in done.stderr


def test_the_cron_job_needs_no_public_url() -> None:
    push = {**GOOD, "AIRTABLE_CHANGES": "push", "AIRTABLE_PLAN": "team"}
    assert manage("check", **push).returncode == 1
    on_render = {"RENDER": "true", "RENDER_SERVICE_TYPE": "cron"}
    done = manage("check", **push, **on_render, DATABASE_URL="postgres://u:p@h/d")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_empty_value_means_not_set() -> None:
    assert manage("check", CACHE_TTL_SECONDS="", TO_NUMBERS=" ", **GOOD).returncode == 0


def settings_with(**variables: str) -> dict[str, str]:
    """All settings that `diffsettings` shows, except those whose text contains a memory address."""
    shown = manage("diffsettings", "--all", **variables)
    assert shown.returncode == 0, shown.stderr
    return dict(
        line.partition("=")[::2] for line in shown.stdout.splitlines() if " at 0x" not in line
    )


@pytest.mark.parametrize("value", ["", " "], ids=["empty", "blank"])
def test_an_empty_variable_on_render_equals_a_missing_one(value: str) -> None:
    prompted = {key for key, each in variables(WEB).items() if each.get("sync") is False}
    set_by_tests = {"RETELL_API_KEY"}
    unset = settings_with(RETELL_API_KEY="")
    assert settings_with(**dict.fromkeys(prompted | set_by_tests, value)) == unset


@pytest.mark.parametrize(
    "url",
    [
        "redis://h?db=x",
        "redis://h/abc",
        "rediss://h/0/1",
        "redis://h/-1",
        "redis://h?foo=1",
        "redis://h?socket_timeout=abc",
        "unix://",
        "redis://",
        "redis://h:port",
        "http://h",
    ],
)
def test_a_malformed_redis_url_is_reported(url: str) -> None:
    """`BAD` has one too, and shows that the command reports it by its name."""
    with pytest.raises(EnvError):
        siftly_environment._parse_redis(url)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AIRTABLE_BASE_ID", "tblabcdefghijklmno", "Is a table (tbl…). The base's id starts with"),
        ("AIRTABLE_BASE_ID", "viwabcdefghijklmno", "Is a view (viw…)."),
        ("AIRTABLE_API_KEY", '"pat1.secret"', "Must be without quotes."),
        ("AIRTABLE_API_KEY", "\u201cpat1.secret\u201d", "Must be without quotes."),
        ("AIRTABLE_API_URL", "https://api.airtable.com/v0", "Must be without /v0"),
        ("AIRTABLE_API_URL", "https://api.airtable.com ", "Has a blank"),
        ("OPENAI_API_URL", "https://api.openai.com/v1/", "Must be without /v1"),
        ("REDIS_URL", "redis://127.0.0.1:1/0 ", "Has a blank"),
        ("PUBLIC_URL", "https://siftly.example.com\n", "Has a blank"),
    ],
)
def test_a_common_slip_is_named(name: str, value: str, expected: str) -> None:
    done = manage("check", **{**GOOD, name: value})
    assert done.returncode == 1
    assert f"{name}: {expected}" in done.stderr
    assert "secret" not in done.stderr


def test_a_wrong_number_in_to_numbers_is_reported() -> None:
    done = manage("check", TO_NUMBERS="0460 23 42 91, nobody", **GOOD)
    assert done.returncode == 1
    assert "TO_NUMBERS: 'nobody' is not a telephone number" in done.stderr


def test_the_server_does_not_start_with_bad_values_and_reports_them_all() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "siftly.asgi"],
        cwd=ROOT,
        env=environment(**{**GOOD, **BAD, "PORT": str(free_port()), "WEB_CONCURRENCY": "1"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert all(name in done.stderr for name in BAD if name not in ("PORT", "WEB_CONCURRENCY"))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("processes", ["abc", "0"])
def test_the_migration_fails_if_gunicorn_cannot_read_web_concurrency(processes: str) -> None:
    """gunicorn reads WEB_CONCURRENCY when it is imported, before our checks run. The migration runs
    earlier in a deployment."""
    done = manage("migrate", "--no-input", **GOOD, WEB_CONCURRENCY=processes)
    assert done.returncode == 1
    assert "WEB_CONCURRENCY" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_reports_bad_values() -> None:
    done = manage("refresh_airtable_cache", CACHE_TTL_SECONDS="x", **GOOD)
    assert done.returncode == 1
    assert "CACHE_TTL_SECONDS" in done.stderr
    assert "Traceback" not in done.stderr
