"""docs/contribute/sandbox.md documents all options and routes, and its examples run."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from sandbox.airtable.__main__ import arguments
from sandbox.airtable.control.routes import ROUTES
from sandbox.airtable.control.webhooks import ACTIONS
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.webhooks.settings import WebhookSettings
from tests.docs.pages import blocks

PAGE = (Path(__file__).parents[2] / "docs" / "contribute" / "sandbox.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_command_line_option_is_documented() -> None:
    options = set(re.findall(r"--[a-z][a-z-]+", arguments().format_usage())) - {"--help"}
    assert options <= set(re.findall(r"--[a-z][a-z-]+", PAGE))


def test_every_control_route_is_documented() -> None:
    for method, path, _ in ROUTES:
        assert re.search(rf"`{method}`?.* ?{re.escape(path.replace(':int', ''))}`", PAGE), path


def test_every_fault_option_is_documented() -> None:
    assert all(f"`{field.name}`" in PAGE for field in fields(Fault))


def test_every_webhook_setting_and_action_is_documented() -> None:
    assert all(f"`{field.name}`" in PAGE for field in fields(WebhookSettings))
    assert all(f'`{{"{action}": ' in PAGE for action in ACTIONS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_run(example: str) -> None:
    exec(compile(example, "docs/contribute/sandbox.md", "exec"), {})


def test_the_commands_of_the_page_are_those_of_the_tests() -> None:
    start, fault = blocks(PAGE, "console")
    words = start.splitlines()[0].split()
    assert words[:4] == ["$", "python", "-m", "sandbox.airtable"]
    assert arguments().parse_args(words[4:]).port == 9000
    sent = re.search(r"--json '(.*)' http://127.0.0.1:9000(\S+)", fault)
    assert sent
    assert ("POST", sent[2]) in {(method, path) for method, path, _ in ROUTES}
    Fault(**json.loads(sent[1]))
