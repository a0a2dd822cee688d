"""The alert rules and the dashboard are made of metrics that exist, with labels that they have."""

import json
import re
import time
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from airtable_sync.cache.redis_store import CALLS
from airtable_sync.monitoring.metrics import counters, refresh_results
from airtable_sync.monitoring.metrics.flush import Flusher
from airtable_sync.monitoring.metrics.prometheus import exposition
from tests.support.server import ROOT

FOLDER = ROOT / "docs/monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
PANELS = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in PANELS for target in panel["targets"]
]
SELECTORS = [
    (name, dict(re.findall(r'(\w+)=~?"([^"]*)"', labels)))
    for expression in EXPRESSIONS
    for name, labels in re.findall(r"\b(siftly_\w+)(\{[^}]*\})?", expression)
]


@pytest.fixture
def families(valkey: Any, settings: Any) -> list[Metric]:
    """Everything that /metrics can tell."""
    settings.AIRTABLE_PLAN, settings.AIRTABLE_CHANGES = "team", "poll"
    for source in ("memory", "redis", "airtable", "stale", "default"):
        counters.answered("retell", source, 0.001, {"redis": 0.001, "airtable": 1.0})
    counters.failed("redis")
    CALLS.completed(int(time.time() * 1000), CALLS.begin(), "tests")
    for status in ("published", "unchanged", "refused", "failed", "rolled-back"):
        refresh_results.record(status, 3.5)
    Flusher().flush()
    return list(text_string_to_metric_families(exposition().decode()))


def test_every_name_and_label_exists(families: list[Metric]) -> None:
    samples = [sample for family in families for sample in family.samples]
    for name, labels in SELECTORS:
        named = [sample for sample in samples if sample.name == name]
        assert named, name
        for label, pattern in labels.items():
            values = {sample.labels[label] for sample in named}
            assert set(pattern.split("|")) <= values, (name, label)


def test_every_label_something_is_grouped_or_called_by_exists(families: list[Metric]) -> None:
    known = {label for family in families for sample in family.samples for label in sample.labels}
    grouped = [
        re.split(r"\s*,\s*", each) for e in EXPRESSIONS for each in re.findall(r"by \((.*?)\)", e)
    ]
    legends = [t["legendFormat"] for panel in PANELS for t in panel["targets"]]
    used = {label for labels in grouped for label in labels}
    used |= {label for legend in legends for label in re.findall(r"\{\{(\w+)\}\}", legend)}
    assert used <= known | {"le"}


def test_the_dashboard_shows_every_metric(families: list[Metric]) -> None:
    shown = {re.sub(r"_(total|bucket)$", "", name) for name, _ in SELECTORS}
    assert {family.name for family in families} == shown


def test_a_cron_job_that_never_ran_a_dead_feed_and_a_refused_token_have_rules() -> None:
    rules = {rule["alert"]: rule for rule in RULES}
    silent = rules["SiftlyCronSilent"]
    assert "or (absent(siftly_refresh_ended_timestamp_seconds)" in silent["expr"]
    assert silent["for"] == "15m"
    assert "siftly_feed_read_timestamp_seconds" in rules["SiftlyFeedNotRead"]["expr"]
    assert "siftly_airtable_access_refused" in rules["SiftlyTokenRefused"]["expr"]
    assert "siftly_airtable_quota_used_up" in rules["SiftlyQuotaUsedUp"]["expr"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_brackets_are_closed(expression: str) -> None:
    without = re.sub(r'"[^"]*"', "", expression)
    while (
        shorter := re.sub(r"\(\)|\[\]|\{\}", "", re.sub(r"[^()\[\]{}]", "", without))
    ) != without:
        without = shorter
    assert without == ""


def test_every_rule_has_a_name_of_its_own_a_severity_and_a_summary() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "warning")
        assert rule["annotations"]["summary"].endswith(".")


def test_every_panel_has_a_place_of_its_own() -> None:
    places = [tuple(panel["gridPos"].values()) for panel in PANELS]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
