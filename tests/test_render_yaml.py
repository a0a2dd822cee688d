"""render.yaml: valid by Render's schema, and by what the schema does not catch."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.server import ROOT
from webhooks.platforms import PLATFORMS

# https://render.com/schema/render.yaml.json as of October 2026; sha256 a0d4e8a3eb119a1b…
SCHEMA = json.loads((ROOT / "tests/data/render.schema.json").read_text(encoding="utf-8"))
BLUEPRINT: dict[str, Any] = yaml.safe_load((ROOT / "render.yaml").read_text(encoding="utf-8"))
SERVICES = {service["name"]: service for service in BLUEPRINT["services"]}
DATABASES = {database["name"]: database for database in BLUEPRINT["databases"]}
GROUPS = {group["name"]: group for group in BLUEPRINT["envVarGroups"]}
WEB, CRON = SERVICES["siftly"], SERVICES["siftly-refresh"]


def variables(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    groups = [each["fromGroup"] for each in service["envVars"] if "fromGroup" in each]
    shared = [each for group in groups for each in GROUPS[group]["envVars"]]
    own = [each for each in service["envVars"] if "key" in each]
    return {each["key"]: each for each in [*shared, *own]}


def test_it_is_valid_by_renders_schema() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(BLUEPRINT)] == []


def test_cron_refreshes_every_three_hours() -> None:
    assert CRON["schedule"] == "0 */3 * * *"
    assert CRON["startCommand"] == "python manage.py refresh_airtable_cache"


def test_the_web_service_starts_as_the_readme_says_and_is_probed_without_io() -> None:
    assert WEB["startCommand"] == "gunicorn siftly.asgi"
    assert WEB["healthCheckPath"] == "/healthz"
    assert WEB["preDeployCommand"] == "python manage.py migrate --no-input"
    assert WEB["maxShutdownDelaySeconds"] >= 30


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


def test_a_secret_is_asked_for_once_and_stands_nowhere() -> None:
    asked = {key for key, each in variables(WEB).items() if each.get("sync") is False}
    platforms = {platform.secrets_setting for platform in PLATFORMS.values()}
    theirs = {"VAPI_ASSISTANT_ID", "TWILIO_CONNECT_URL"}
    assert asked == {"AIRTABLE_API_KEY", "AIRTABLE_BASE_ID"} | platforms | theirs
    values = {key for key, each in variables(WEB).items() if "value" in each}
    assert not [key for key in values if re.search("KEY|SECRET|TOKEN|URL|PASSWORD", key)]
    for group in GROUPS.values():
        assert all("value" in each for each in group["envVars"])  # others are ignored there


def test_everything_is_in_one_region() -> None:
    everything = [*SERVICES.values(), *DATABASES.values()]
    assert {each["region"] for each in everything} == {"frankfurt"}


def test_the_cache_is_closed_to_the_outside_and_evicts_nothing() -> None:
    cache = SERVICES["siftly-cache"]
    assert (cache["ipAllowList"], cache["maxmemoryPolicy"]) == ([], "noeviction")


def test_the_build_installs_by_hash() -> None:
    build = Path(ROOT / WEB["buildCommand"])
    assert build.stat().st_mode & 0o111
    assert "--require-hashes -r requirements.txt" in build.read_text(encoding="utf-8")
