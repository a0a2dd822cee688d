"""docs/sandbox.md names everything there is to steer, and its examples run."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from sandbox.airtable.__main__ import arguments
from sandbox.airtable.control import ROUTES
from sandbox.airtable.faults import Fault
from sandbox.airtable.webhooks.control import ACTIONS
from sandbox.airtable.webhooks.settings import WebhookSettings

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_option_is_named() -> None:
    options = set(re.findall(r"--[a-z][a-z-]+", arguments().format_usage())) - {"--help"}
    assert options <= set(re.findall(r"--[a-z][a-z-]+", PAGE))


def test_every_control_route_is_named() -> None:
    for method, path, _ in ROUTES:
        assert re.search(rf"`{method}`?.* ?{re.escape(path.replace(':int', ''))}`", PAGE), path


def test_every_part_of_a_fault_is_named() -> None:
    assert all(f"`{field.name}`" in PAGE for field in fields(Fault))


def test_every_setting_and_action_of_the_change_feed_is_named() -> None:
    assert all(f"`{field.name}`" in PAGE for field in fields(WebhookSettings))
    assert all(f'`{{"{action}": ' in PAGE for action in ACTIONS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_run(example: str) -> None:
    exec(compile(example, "docs/sandbox.md", "exec"), {})
