"""render.yaml: valid by Render's schema, and by what the schema does not catch."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from jsonschema import Draft202012Validator

from tests.support.render_yaml import (
    BLUEPRINT,
    CRON,
    DATABASES,
    GROUPS,
    NO_SECRETS,
    SERVICES,
    WEB,
    variables,
)
from tests.support.server import ROOT
from webhooks.platforms import PLATFORMS

# https://render.com/schema/render.yaml.json as of October 2026; sha256 a0d4e8a3eb119a1b…
SCHEMA = json.loads((ROOT / "tests/support/data/render.schema.json").read_text(encoding="utf-8"))
# What the settings read, and render.yaml leaves out: nothing that both services must agree on.
LEFT_OUT = {
    "DEBUG": "for development only",
    "AIRTABLE_API_URL": "for development only",
    "TELNYX_SIGNING_KEY": "for development only",
    "PORT": "Render's",
    "RENDER_EXTERNAL_HOSTNAME": "Render's",
    "RENDER_EXTERNAL_URL": "Render's",
    "PUBLIC_URL": "the web service's alone, and Render's address unless there is one of one's own",
    "ALLOWED_HOSTS": "the web service's alone, and follows from PUBLIC_URL",
}
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECRET = re.compile("KEY|SECRET|TOKEN|URL|PASSWORD|DSN")


def read_by_the_settings() -> set[str]:
    source = (ROOT / "siftly/settings.py").read_text(encoding="utf-8")
    return set(re.findall(r'(?:env\.\w+|comma_separated)\(\s*"([A-Z_]+)"', source))


def test_it_is_valid_by_renders_schema() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(BLUEPRINT)] == []


def test_cron_refreshes_every_three_hours() -> None:
    assert CRON["schedule"] == "0 */3 * * *"
    assert settings.CACHE_TTL_SECONDS == 3 * 3600
    assert CRON["startCommand"] == "python manage.py refresh_airtable_cache"


def test_the_web_service_starts_as_the_readme_says_and_is_probed_without_io() -> None:
    assert WEB["startCommand"] == "gunicorn siftly.asgi"
    assert WEB["healthCheckPath"] == "/healthz"
    assert WEB["preDeployCommand"] == "python manage.py migrate --no-input"


def test_the_server_ends_before_render_ends_it() -> None:
    conf = (ROOT / "gunicorn.conf.py").read_text(encoding="utf-8")
    graceful = re.search(r"^graceful_timeout = (\d+)", conf, re.M)
    assert graceful
    assert int(graceful[1]) + 5 <= WEB["maxShutdownDelaySeconds"] <= 300


def test_there_are_processes_to_recycle_and_their_copies_fit() -> None:
    processes = int(variables(WEB)["WEB_CONCURRENCY"]["value"])
    assert processes >= 2
    copies = processes * int(variables(WEB)["REPLICA_MAX_BYTES"]["value"])
    assert (WEB["plan"], copies < 0.5 * 512e6) == ("starter", True)


@pytest.mark.parametrize("service", [WEB, CRON], ids=["web", "cron"])
def test_every_reference_leads_somewhere(service: dict[str, Any]) -> None:
    for variable in variables(service).values():
        if source := variable.get("fromService"):
            assert SERVICES[source["name"]]["type"] == source["type"]
            assert ("property" in source) != ("envVarKey" in source)
            if "envVarKey" in source:
                assert source["envVarKey"] in variables(SERVICES[source["name"]])
        if source := variable.get("fromDatabase"):
            assert source["name"] in DATABASES
            assert source["property"] == "connectionString"


def test_web_and_cron_have_the_same_variables() -> None:
    assert set(variables(WEB)) - {"WEB_CONCURRENCY"} == set(variables(CRON))


def test_every_variable_that_the_settings_read_is_there_or_left_out_for_a_reason() -> None:
    there = set(variables(WEB)) - {"PYTHON_VERSION"}
    assert there.isdisjoint(LEFT_OUT)
    assert there | set(LEFT_OUT) == read_by_the_settings()


def test_values_in_the_file_are_the_settings_own_defaults() -> None:
    ours = {"WEB_CONCURRENCY", "PYTHON_VERSION", "REPLICA_MAX_BYTES"}
    for key, each in variables(WEB).items():
        if "value" in each and key not in ours:
            assert isinstance(each["value"], str)
            default = getattr(settings, key)
            default = default.removeprefix(f"{ROOT}/") if isinstance(default, str) else default
            shown = json.dumps(default) if isinstance(default, dict) else str(default)
            assert (key, each["value"]) == (key, shown)


ALERTS = {"SENTRY_DSN", "ALERT_EMAIL", "EMAIL_URL", "ALERT_WEBHOOK_URL"}


def test_a_secret_is_asked_for_once_and_stands_nowhere() -> None:
    of_platforms = {platform.secrets_setting for platform in PLATFORMS.values()}
    asked = {key for key, each in variables(WEB).items() if each.get("sync") is False}
    assert asked == {"AIRTABLE_API_KEY", *NO_SECRETS, *ALERTS, *of_platforms}
    for service in (WEB, CRON):
        for key, each in variables(service).items():
            assert not SECRET.search(key) or "value" not in each, key
    assert not [key for key, each in variables(CRON).items() if "sync" in each]
    assert not [key for key, each in variables(CRON).items() if "generateValue" in each]
    for group in GROUPS.values():
        assert all("value" in each for each in group["envVars"])  # others are ignored there


GUIDE = (ROOT / "docs/render.md").read_text(encoding="utf-8").partition("## Variables")[2]


def named_in_the_guide(heading: str) -> set[str]:
    """Under a heading of docs/render.md's *Variables*."""
    text = re.search(rf"^### {heading}\n(.*?)^##", GUIDE, re.S | re.M)
    assert text
    return set(re.findall(r"`([A-Z_]{4,})`", text[1]))


def test_the_guide_names_what_render_asks_for_what_the_file_holds_and_what_is_left() -> None:
    said = variables(WEB)
    asked = {key for key, each in said.items() if each.get("sync") is False}
    assert named_in_the_guide("Asked for") == asked
    held = {key for key, each in said.items() if "value" in each}
    assert named_in_the_guide("In the file") == held
    made = {key for key, each in said.items() if "generateValue" in each}
    assert named_in_the_guide("Made by Render") == made | {"DATABASE_URL", "REDIS_URL"}
    assert named_in_the_guide("By hand") == {"PUBLIC_URL", "ALLOWED_HOSTS", "RENDER_EXTERNAL_URL"}


def test_the_readme_says_what_has_to_be_filled_in() -> None:
    step = re.search(r"^2\. Render asks.*?(?=^3\.)", README, re.S | re.M)
    assert step
    assert {"AIRTABLE_API_KEY", "AIRTABLE_BASE_ID"} == set(re.findall(r"`([A-Z_]+)`", step[0]))
    assert "docs/render.md#asked-for" in step[0]


def test_both_have_the_same_key_database_and_cache() -> None:
    for key in ("DATABASE_URL", "REDIS_URL"):
        assert variables(WEB)[key] == variables(CRON)[key]
    for key in ("SECRET_KEY", "METRICS_TOKEN"):
        source = {"type": "web", "name": "siftly", "envVarKey": key}
        assert variables(CRON)[key] == {"key": key, "fromService": source}


def test_both_are_deployed_by_each_commit() -> None:
    """Render deploys nothing after "checks pass" where a repository has none, and this has none."""
    assert not (ROOT / ".github").exists()
    assert WEB["autoDeployTrigger"] == CRON["autoDeployTrigger"] == "commit"


def test_everything_is_in_one_region() -> None:
    everything = [*SERVICES.values(), *DATABASES.values()]
    assert {each["region"] for each in everything} == {"frankfurt"}


def test_the_cache_is_closed_to_the_outside_and_evicts_nothing() -> None:
    cache = SERVICES["siftly-cache"]
    assert (cache["ipAllowList"], cache["maxmemoryPolicy"]) == ([], "noeviction")


@pytest.mark.parametrize("service", [WEB, CRON], ids=["web", "cron"])
def test_only_the_web_service_has_what_only_it_can_have(service: dict[str, Any]) -> None:
    for name in ("healthCheckPath", "preDeployCommand", "maxShutdownDelaySeconds"):
        assert (name in service) == (service is WEB)
    assert service["buildCommand"] == "./build.sh"


def test_the_build_installs_by_hash() -> None:
    build = Path(ROOT / WEB["buildCommand"])
    assert build.stat().st_mode & 0o111
    assert "--require-hashes -r requirements.txt" in build.read_text(encoding="utf-8")
