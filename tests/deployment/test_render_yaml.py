"""render.yaml is valid by Render's schema, and by rules that the schema does not contain."""

import base64
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
    SERVICES,
    WEB,
    variables,
)
from tests.support.servers.server import ROOT
from tests.support.services import platforms

# https://render.com/schema/render.yaml.json as of October 2026; sha256 a0d4e8a3eb119a1b…
SCHEMA = json.loads((ROOT / "tests/support/data/render.schema.json").read_text(encoding="utf-8"))
# Variables of the settings that neither render.yaml has nor the guide's list for the dashboard.
LEFT_OUT = {
    "DEBUG": "for development only",
    "AIRTABLE_API_URL": "for development only",
    "OPENAI_API_URL": "for development only",
    "TELNYX_SIGNING_KEY": "for development only",
    "CACHE_NAMESPACE": "only where two deployments of a base share a Redis: here each has its own",
    "PORT": "set by Render",
    "RENDER_EXTERNAL_HOSTNAME": "set by Render",
    "RENDER_EXTERNAL_URL": "set by Render",
}
# A refresh uses these, so the cron job needs them too.
OF_REFRESH = {"AIRTABLE_MAPPING", "TO_NUMBERS", "AIRTABLE_PLAN", "SENTRY_DSN"}
SECRET = re.compile("KEY|SECRET|TOKEN|URL|PASSWORD|DSN")


def variables_of_the_settings() -> set[str]:
    source = (ROOT / "siftly/settings.py").read_text(encoding="utf-8")
    return set(re.findall(r'(?:env\.\w+|comma_separated)\(\s*"([A-Z_]+)"', source))


def test_render_yaml_is_valid_by_renders_schema() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(BLUEPRINT)] == []


def test_cron_refreshes_every_three_hours() -> None:
    assert CRON["schedule"] == "0 */3 * * *"
    assert settings.CACHE_TTL_SECONDS == 3 * 3600
    assert CRON["startCommand"] == "python manage.py refresh_airtable_cache"


def test_the_web_service_has_the_documented_commands_and_a_health_check_without_io() -> None:
    assert WEB["startCommand"] == "gunicorn siftly.asgi"
    assert WEB["healthCheckPath"] == "/healthz"
    assert WEB["preDeployCommand"] == "python manage.py migrate --no-input"
    assert WEB["initialDeployHook"] == CRON["startCommand"]


def test_the_server_ends_before_render_kills_it() -> None:
    conf = (ROOT / "gunicorn.conf.py").read_text(encoding="utf-8")
    graceful = re.search(r"^graceful_timeout = (\d+)", conf, re.M)
    assert graceful
    assert int(graceful[1]) + 5 <= WEB["maxShutdownDelaySeconds"] <= 300


def test_there_are_two_processes_and_their_replicas_fit_into_memory() -> None:
    processes = int(variables(WEB)["WEB_CONCURRENCY"]["value"])
    assert processes >= 2
    replicas = processes * int(variables(WEB)["REPLICA_MAX_BYTES"]["value"])
    assert (WEB["plan"], replicas < 0.5 * 512e6) == ("starter", True)


@pytest.mark.parametrize("service", [WEB, CRON], ids=["web", "cron"])
def test_every_reference_has_a_target(service: dict[str, Any]) -> None:
    for variable in variables(service).values():
        if source := variable.get("fromService"):
            assert SERVICES[source["name"]]["type"] == source["type"]
            assert ("property" in source) != ("envVarKey" in source)
            if "envVarKey" in source:
                assert source["envVarKey"] in variables(SERVICES[source["name"]])
        if source := variable.get("fromDatabase"):
            assert source["name"] in DATABASES
            assert source["property"] == "connectionString"


def test_cron_has_the_variables_of_a_refresh() -> None:
    own = {"AIRTABLE_API_KEY", "AIRTABLE_BASE_ID", "SECRET_KEY", "DATABASE_URL", "REDIS_URL"}
    shared = {each["key"] for each in GROUPS["siftly"]["envVars"]}
    assert set(variables(CRON)) == own | shared
    assert set(variables(CRON)) < set(variables(WEB))


def test_every_variable_of_the_settings_is_in_the_file_in_the_guide_or_left_out() -> None:
    in_the_file = set(variables(WEB)) - {"PYTHON_VERSION"}
    later = set(later_in_the_dashboard())
    assert in_the_file.isdisjoint(LEFT_OUT)
    assert later.isdisjoint(in_the_file | set(LEFT_OUT))
    assert in_the_file | later | set(LEFT_OUT) == variables_of_the_settings()


def test_values_in_the_file_equal_the_defaults_of_the_settings() -> None:
    ours = {"WEB_CONCURRENCY", "PYTHON_VERSION", "REPLICA_MAX_BYTES", "AIRTABLE_MAPPING"}
    for key, each in variables(WEB).items():
        if "value" in each and key not in ours:
            assert isinstance(each["value"], str)
            default = getattr(settings, key)
            default = default.removeprefix(f"{ROOT}/") if isinstance(default, str) else default
            shown = json.dumps(default) if isinstance(default, dict) else str(default)
            assert (key, each["value"]) == (key, shown)


def test_render_asks_for_three_values_and_the_file_contains_no_secret() -> None:
    prompted = {key for key, each in variables(WEB).items() if each.get("sync") is False}
    assert prompted == {"AIRTABLE_API_KEY", "AIRTABLE_BASE_ID", "RETELL_API_KEY"}
    for service in (WEB, CRON):
        for key, each in variables(service).items():
            assert not SECRET.search(key) or "value" not in each, key
    assert not [key for key, each in variables(CRON).items() if "sync" in each]
    assert not [key for key, each in variables(CRON).items() if "generateValue" in each]
    for group in GROUPS.values():
        assert all("value" in each for each in group["envVars"])  # others are ignored there


@pytest.mark.parametrize("name", ["elevenlabs", "vapi", "generic"])
def test_a_secret_that_render_generates_is_one_that_the_platform_takes(name: str) -> None:
    platform = platforms()[name]
    assert variables(WEB)[platform.secrets_setting] == {
        "key": platform.secrets_setting,
        "generateValue": True,
    }
    generated = base64.b64encode(bytes(range(224, 256))).decode()
    assert platform.secret_problem(generated) == ""


GUIDE = (ROOT / "docs/guides/render.md").read_text(encoding="utf-8").partition("## Variables")[2]


def section(heading: str) -> str:
    """The text under a heading of *Variables* in the guide to Render."""
    text = re.search(rf"^### {heading}\n(.*?)^##", GUIDE, re.S | re.M)
    assert text
    return text[1]


def named_in_the_guide(heading: str) -> set[str]:
    return set(re.findall(r"`([A-Z_]{4,})`", section(heading)))


def later_in_the_dashboard() -> dict[str, str]:
    """The variables to add in the dashboard, and where."""
    rows = re.findall(r"^\| (`[A-Z].*?) \|.*\| (.*?) \|$", section("Later, in the dashboard"), re.M)
    return {name: where for names, where in rows for name in re.findall(r"[A-Z_]{4,}", names)}


def test_the_guide_lists_each_variable_under_the_heading_that_applies() -> None:
    listed = variables(WEB)
    prompted = {key for key, each in listed.items() if each.get("sync") is False}
    assert named_in_the_guide("Asked for") == prompted
    in_file = {key for key, each in listed.items() if "value" in each}
    assert named_in_the_guide("In the file") == in_file
    generated = {key for key, each in listed.items() if "generateValue" in each}
    assert named_in_the_guide("Made by Render") == generated | {"DATABASE_URL", "REDIS_URL"}


def test_the_guide_says_which_variables_the_cron_job_needs_too() -> None:
    both = {name for name, where in later_in_the_dashboard().items() if where == "both services"}
    assert both == OF_REFRESH


def test_web_and_cron_share_keys_database_and_cache() -> None:
    for key in ("DATABASE_URL", "REDIS_URL"):
        assert variables(WEB)[key] == variables(CRON)[key]
    for key in ("SECRET_KEY", "AIRTABLE_API_KEY", "AIRTABLE_BASE_ID"):
        source = {"type": "web", "name": "siftly", "envVarKey": key}
        assert variables(CRON)[key] == {"key": key, "fromService": source}


def test_web_and_cron_are_deployed_for_each_commit() -> None:
    """With `checksPass`, Render would deploy nothing in a fork whose checks are not turned on."""
    assert WEB["autoDeployTrigger"] == CRON["autoDeployTrigger"] == "commit"


def test_everything_is_in_one_region() -> None:
    everything = [*SERVICES.values(), *DATABASES.values()]
    assert {each["region"] for each in everything} == {"frankfurt"}


def test_the_cache_is_private_and_evicts_nothing() -> None:
    cache = SERVICES["siftly-cache"]
    assert (cache["ipAllowList"], cache["maxmemoryPolicy"]) == ([], "noeviction")


@pytest.mark.parametrize("service", [WEB, CRON], ids=["web", "cron"])
def test_only_the_web_service_has_settings_of_a_web_service(service: dict[str, Any]) -> None:
    for name in ("healthCheckPath", "preDeployCommand", "maxShutdownDelaySeconds"):
        assert (name in service) == (service is WEB)
    assert service["buildCommand"] == "./build.sh"


def test_the_build_checks_the_hashes_of_packages() -> None:
    build = Path(ROOT / WEB["buildCommand"])
    assert build.stat().st_mode & 0o111
    assert "--require-hashes -r requirements.txt" in build.read_text(encoding="utf-8")
