"""Tests that the alert rules and the dashboard use only existing metrics and labels."""

import json
import re
import time
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from airtable_sync.refresh.report import Status
from tests.monitoring.support import (
    complete_publication,
    memory_limit,
    record_run,
    web_process_flusher,
)
from tests.support.servers.server import ROOT
from tests.support.services import services

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

STATUSES: tuple[Status, ...] = ("published", "unchanged", "refused", "failed", "rolled-back")


@pytest.fixture
def families(valkey: Any, settings: Any) -> list[Metric]:
    """All metrics that /metrics can contain."""
    settings.AIRTABLE_PLAN, settings.AIRTABLE_CHANGES = "team", "poll"
    counters = services().counters
    for source in ("memory", "redis", "airtable", "stale", "default"):
        counters.call_answered("retell", source, 0.001, {"redis": 0.001, "airtable": 1.0})
    counters.tier_failed("redis")
    complete_publication(int(time.time() * 1000))
    for status in STATUSES:
        record_run(status, 3.5)
    web_process_flusher().flush()
    with memory_limit(valkey):
        return list(text_string_to_metric_families(services().prometheus.text().decode()))


def test_every_metric_and_label_exists(families: list[Metric]) -> None:
    samples = [sample for family in families for sample in family.samples]
    for name, labels in SELECTORS:
        named = [sample for sample in samples if sample.name == name]
        assert named, name
        for label, pattern in labels.items():
            values = {sample.labels[label] for sample in named}
            assert set(pattern.split("|")) <= values, (name, label)


def test_every_label_in_a_grouping_or_a_legend_exists(families: list[Metric]) -> None:
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


def test_an_overdue_cron_job_an_unread_change_feed_and_a_denied_token_have_rules() -> None:
    rules = {rule["alert"]: rule for rule in RULES}
    overdue = rules["SiftlyCronOverdue"]
    assert "or (absent(siftly_refresh_ended_timestamp_seconds)" in overdue["expr"]
    assert overdue["for"] == "15m"
    assert "siftly_change_feed_read_timestamp_seconds" in rules["SiftlyChangeFeedNotRead"]["expr"]
    assert "siftly_airtable_access_denied" in rules["SiftlyAirtableAccessDenied"]["expr"]
    assert "siftly_airtable_quota_exceeded" in rules["SiftlyQuotaExceeded"]["expr"]


def test_all_brackets_are_closed() -> None:
    assert not [each for each in EXPRESSIONS if _open_brackets(each)]


def _open_brackets(expression: str) -> str:
    without = re.sub(r'"[^"]*"', "", expression)
    while (
        shorter := re.sub(r"\(\)|\[\]|\{\}", "", re.sub(r"[^()\[\]{}]", "", without))
    ) != without:
        without = shorter
    return without


def test_every_rule_has_a_unique_name_a_severity_and_a_summary() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "warning")
        assert rule["annotations"]["summary"].endswith(".")


def test_every_panel_has_a_unique_position_and_id() -> None:
    positions = [tuple(panel["gridPos"].values()) for panel in PANELS]
    assert len(set(positions)) == len(positions)
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
