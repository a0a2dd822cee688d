"""Tests docs/operations.md: every command works beside `make run`, and every link has a section."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.docs.test_documents import exported, running, shell
from tests.support.servers.http_listener import listening
from tests.support.servers.ports import free_port
from tests.support.servers.server import ROOT, manage

MANAGE = ".venv/bin/python manage.py "
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", OPERATIONS, re.S)
    for line in block.split("\n")
    if line
]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_command_in_the_page_works(tmp_path: Path) -> None:
    port = free_port()
    with listening() as chat:
        variables = {
            "AIRTABLE_CHANGES": "push",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "ALERT_URLS": chat.alert_url,
        }
        with running(port, tmp_path, variables):
            for command in dict.fromkeys(COMMANDS[1:]):
                run_command(command, {**variables, **exported(tmp_path / "env")})
    assert any("This is a test alert" in text for text in chat.texts())


def run_command(command: str, variables: dict[str, str]) -> None:
    """Management commands run in a process that starts faster than a shell's."""
    if command.startswith(MANAGE):
        done = manage(*shlex.split(command.removeprefix(MANAGE)), **variables)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    else:
        shell(command.replace(".venv/bin/python", sys.executable), variables)


def test_the_page_uses_every_management_command() -> None:
    folder = ROOT / "airtable_sync/management/commands"
    for command in {each.stem for each in folder.glob("[a-z]*.py")}:
        assert any(f"manage.py {command}" in line for line in COMMANDS), command


def test_every_linked_section_exists() -> None:
    headings = re.findall(r"^#+ (.+)$", OPERATIONS, re.M)
    anchors = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = document.read_text(encoding="utf-8")
        linked = re.findall(r"\]\([^)]*operations\.md#([^)]+)\)", text)
        if document.name == "operations.md":
            linked += re.findall(r"\]\(#([^)]+)\)", text)
        assert set(linked) <= anchors
