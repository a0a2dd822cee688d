"""Settings from the environment: what is wrong is said by name, all at once, and no secret is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.render_yaml import WEB, variables
from tests.support.server import ROOT, environment, free_port, manage
from webhooks.platforms import PLATFORMS

pytestmark = pytest.mark.slow

GOOD = {
    "REDIS_URL": "redis://127.0.0.1:6379",
    "AIRTABLE_API_KEY": "pat1",
    "AIRTABLE_BASE_ID": "app1",
}
BAD = {
    "DEBUG": "maybe",
    "DATABASE_URL": "nope://user:hunter2@host/db",
    "REDIS_URL": "http://:hunter2@host",
    "AIRTABLE_API_URL": "airtable",
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
    "LOG_LEVEL": "loud",
    "AIRTABLE_MAPPING": "/nowhere.toml",
    "AIRTABLE_API_KEY": "pat with\na break",
    "AIRTABLE_BASE_ID": "app/../x y",
    "PORT": "abc",
    "WEB_CONCURRENCY": "0",
}


def test_good_values_pass_without_a_word() -> None:
    done = manage("check", **GOOD)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_bad_value_is_named_at_once_without_a_traceback_or_a_secret() -> None:
    done = manage("check", **{**GOOD, **BAD})
    assert done.returncode == 1
    named = set(re.findall(r"^\?: \(siftly\.\w+\) (\w+)[: ]", done.stderr, re.MULTILINE))
    assert named == set(BAD)
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_missing_values_are_named_at_once() -> None:
    done = manage("check", SECRET_KEY="", RETELL_API_KEY="")
    for name in ("AIRTABLE_API_KEY", "AIRTABLE_BASE_ID", "REDIS_URL", "SECRET_KEY"):
        assert f"{name} is not set" in done.stderr
    for platform in PLATFORMS.values():
        assert platform.secrets_setting in done.stderr


def test_on_render_a_secret_key_is_required() -> None:
    done = manage("check", SECRET_KEY="", RENDER="true", **GOOD)
    assert done.returncode == 1
    assert "SECRET_KEY is not set" in done.stderr


def test_the_cron_job_has_no_address_and_needs_none() -> None:
    pushed = {**GOOD, "AIRTABLE_CHANGES": "push", "AIRTABLE_PLAN": "team"}
    assert manage("check", **pushed).returncode == 1
    on_render = {"RENDER": "true", "RENDER_SERVICE_TYPE": "cron"}
    done = manage("check", **pushed, **on_render, DATABASE_URL="postgres://u:p@h/d")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_empty_value_means_not_set() -> None:
    assert manage("check", CACHE_TTL_SECONDS="", TO_NUMBERS=" ", **GOOD).returncode == 0


def settings_with(**variables: str) -> dict[str, str]:
    """All settings, as `diffsettings` shows them, but for objects in memory."""
    shown = manage("diffsettings", "--all", **variables)
    assert shown.returncode == 0, shown.stderr
    return dict(
        line.partition("=")[::2] for line in shown.stdout.splitlines() if " at 0x" not in line
    )


@pytest.mark.parametrize("value", ["", " "], ids=["empty", "blank"])
def test_what_render_asks_for_and_nobody_fills_in_is_as_if_it_were_not_there(value: str) -> None:
    asked = {key for key, each in variables(WEB).items() if each.get("sync") is False}
    with_its_own = {"RETELL_API_KEY"}  # which these tests set
    unset = settings_with(RETELL_API_KEY="")
    assert settings_with(**dict.fromkeys(asked | with_its_own, value)) == unset


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
def test_a_redis_address_that_cannot_work_is_said(url: str) -> None:
    done = manage("check", **{**GOOD, "REDIS_URL": url})
    assert done.returncode == 1
    assert "REDIS_URL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://x.upstash.io:6379", "rediss://"),
        ("rediss://x.upstash.io:6379/1", "only database 0"),
    ],
)
def test_what_upstash_does_not_have_is_said(url: str, sentence: str) -> None:
    done = manage("check", **{**GOOD, "REDIS_URL": url})
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_wrong_number_in_to_numbers_is_said() -> None:
    done = manage("check", TO_NUMBERS="0460 23 42 91, nobody", **GOOD)
    assert done.returncode == 1
    assert "TO_NUMBERS: 'nobody' is no telephone number" in done.stderr


def test_the_server_does_not_start_with_bad_values_and_says_them_all(tmp_path: Path) -> None:
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
def test_a_number_of_processes_that_gunicorn_cannot_read_ends_the_migration_before_it(
    processes: str,
) -> None:
    """gunicorn itself reads it when it is imported, before any line of ours."""
    done = manage("migrate", "--no-input", **GOOD, WEB_CONCURRENCY=processes)
    assert done.returncode == 1
    assert "WEB_CONCURRENCY" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_with_bad_values_says_them(tmp_path: Path) -> None:
    done = manage("refresh_airtable_cache", CACHE_TTL_SECONDS="x", **GOOD)
    assert done.returncode == 1
    assert "CACHE_TTL_SECONDS" in done.stderr
    assert "Traceback" not in done.stderr
