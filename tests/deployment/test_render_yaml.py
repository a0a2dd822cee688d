"""render.yaml is valid by Render's schema, and by rules that the schema does not contain."""

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
    NOT_SECRET,
    SERVICES,
    WEB,
    variables,
)
from tests.support.servers.server import ROOT
from tests.support.services import platforms

# https://render.com/schema/render.yaml.json as of October 2026; sha256 a0d4e8a3eb119a1b…
SCHEMA = json.loads((ROOT / "tests/support/data/render.schema.json").read_text(encoding="utf-8"))
# Variables of the settings that render.yaml leaves out. None needs the same value in both services.
LEFT_OUT = {
    "DEBUG": "for development only",
    "AIRTABLE_API_URL": "for development only",
    "OPENAI_API_URL": "for development only",
    "TELNYX_SIGNING_KEY": "for development only",
    "CACHE_NAMESPACE": "only where two deployments of a base share a Redis: here each has its own",
    "PORT": "set by Render",
    "RENDER_EXTERNAL_HOSTNAME": "set by Render",
    "RENDER_EXTERNAL_URL": "set by Render",
    "PUBLIC_URL": "only for the web service, and only with a custom domain",
    "ALLOWED_HOSTS": "only for the web service, and follows from PUBLIC_URL",
}
README = (ROOT / "README.md").read_text(encoding="utf-8")
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


def test_the_web_service_has_the_commands_of_the_readme_and_a_health_check_without_io() -> None:
    assert WEB["startCommand"] == "gunicorn siftly.asgi"
    assert WEB["healthCheckPath"] == "/healthz"
    assert WEB["preDeployCommand"] == "python manage.py migrate --no-input"


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


def test_web_and_cron_have_the_same_variables() -> None:
    assert set(variables(WEB)) - {"WEB_CONCURRENCY"} == set(variables(CRON))


def test_every_variable_of_the_settings_is_in_the_file_or_left_out_for_a_reason() -> None:
    in_the_file = set(variables(WEB)) - {"PYTHON_VERSION"}
    assert in_the_file.isdisjoint(LEFT_OUT)
    assert in_the_file | set(LEFT_OUT) == variables_of_the_settings()


def test_values_in_the_file_equal_the_defaults_of_the_settings() -> None:
    ours = {"WEB_CONCURRENCY", "PYTHON_VERSION", "REPLICA_MAX_BYTES", "AIRTABLE_MAPPING"}
    for key, each in variables(WEB).items():
        if "value" in each and key not in ours:
            assert isinstance(each["value"], str)
            default = getattr(settings, key)
            default = default.removeprefix(f"{ROOT}/") if isinstance(default, str) else default
            shown = json.dumps(default) if isinstance(default, dict) else str(default)
            assert (key, each["value"]) == (key, shown)


ALERTS = {"SENTRY_DSN", "ALERT_URLS", "EMAIL_URL"}


def test_render_prompts_for_each_secret_once_and_the_file_contains_none() -> None:
    platform_secrets = {platform.secrets_setting for platform in platforms().values()}
    prompted = {key for key, each in variables(WEB).items() if each.get("sync") is False}
    keys = {"AIRTABLE_API_KEY", "OPENAI_API_KEY"}
    assert prompted == {*keys, *NOT_SECRET, *ALERTS, *platform_secrets}
    for service in (WEB, CRON):
        for key, each in variables(service).items():
            assert not SECRET.search(key) or "value" not in each, key
    assert not [key for key, each in variables(CRON).items() if "sync" in each]
    assert not [key for key, each in variables(CRON).items() if "generateValue" in each]
    for group in GROUPS.values():
        assert all("value" in each for each in group["envVars"])  # others are ignored there


GUIDE = (ROOT / "docs/render.md").read_text(encoding="utf-8").partition("## Variables")[2]


def named_in_the_guide(heading: str) -> set[str]:
    """The variables under a heading of *Variables* in docs/render.md."""
    text = re.search(rf"^### {heading}\n(.*?)^##", GUIDE, re.S | re.M)
    assert text
    return set(re.findall(r"`([A-Z_]{4,})`", text[1]))


def test_the_guide_lists_each_variable_under_the_heading_that_applies() -> None:
    listed = variables(WEB)
    prompted = {key for key, each in listed.items() if each.get("sync") is False}
    assert named_in_the_guide("Asked for") == prompted
    in_file = {key for key, each in listed.items() if "value" in each}
    assert named_in_the_guide("In the file") == in_file
    generated = {key for key, each in listed.items() if "generateValue" in each}
    assert named_in_the_guide("Made by Render") == generated | {"DATABASE_URL", "REDIS_URL"}
    assert named_in_the_guide("By hand") == {"PUBLIC_URL", "ALLOWED_HOSTS", "RENDER_EXTERNAL_URL"}


def test_the_readme_lists_the_required_variables() -> None:
    step = re.search(r"^2\. Render asks.*?(?=^3\.)", README, re.S | re.M)
    assert step
    assert {"AIRTABLE_API_KEY", "AIRTABLE_BASE_ID"} == set(re.findall(r"`([A-Z_]+)`", step[0]))
    assert "docs/render.md#asked-for" in step[0]


def test_web_and_cron_share_keys_database_and_cache() -> None:
    for key in ("DATABASE_URL", "REDIS_URL"):
        assert variables(WEB)[key] == variables(CRON)[key]
    for key in ("SECRET_KEY", "METRICS_TOKEN"):
        source = {"type": "web", "name": "siftly", "envVarKey": key}
        assert variables(CRON)[key] == {"key": key, "fromService": source}


def test_web_and_cron_are_deployed_for_each_commit() -> None:
    """With `checksPass`, Render would deploy nothing, because the repository has no checks on
    GitHub."""
    assert not (ROOT / ".github").exists()
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
