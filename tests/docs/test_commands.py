"""Runs the commands of the documentation: those of all pages beside one `make run`."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCUMENTS, blocks
from tests.docs.test_documents import exported, running, shell
from tests.support.servers.http_listener import listening
from tests.support.servers.ports import free_port
from tests.support.servers.server import ROOT, manage

MANAGE = ".venv/bin/python manage.py "
SHELLS = ("sh", "bash", "console")
# The pages with commands that do not run beside `make run`, and the tests that run or read them.
ELSEWHERE = {
    "README.md": "tests/docs/test_documents.py",
    "CONTRIBUTING.md": "tests/docs/test_contributing.py",
    "docs/start/try-it.md": "tests/docs/test_documents.py",
    "docs/start/own-base.md": "tests/docs/test_quickstart.py",
    "docs/guides/callers.md": "tests/deployment/test_callers_live.py",
    "docs/guides/backup.md": "tests/deployment/test_backup.py",
    "docs/contribute/sandbox.md": "tests/sandbox/test_documentation.py",
}
# `bash` is the language of commands for another machine.
OTHER_MACHINES = {
    "docs/guides/render.md": "tests/deployment/test_render_yaml.py",
    "docs/guides/upgrades.md": "tests/deployment/test_rolling_deploys.py",
    "docs/guides/docker.md": "tests/deployment/test_deploy_files.py",
    "docs/guides/server.md": "tests/deployment/test_deploy_files.py",
    "docs/guides/tunnel.md": "",  # needs an account or a public address
}


def commands() -> list[str]:
    """Each command once."""
    found = [
        line
        for document in DOCUMENTS
        if str(document.relative_to(ROOT)) not in ELSEWHERE
        for block in blocks(document.read_text(encoding="utf-8"), "sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return list(dict.fromkeys(found))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_command_of_the_documentation_works(tmp_path: Path) -> None:
    port = free_port()
    with listening() as chat:
        variables = {
            "AIRTABLE_CHANGES": "push",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "ALERT_URLS": chat.alert_url,
        }
        with running(port, tmp_path, variables):
            for command in commands():
                if command != ". .run/env":
                    run_command(command, {**variables, **exported(tmp_path / "env")})
    assert any("This is a test alert" in text for text in chat.texts())


def run_command(command: str, variables: dict[str, str]) -> None:
    """Management commands run in a process that starts faster than a shell's."""
    if command.startswith(MANAGE):
        done = manage(*shlex.split(command.removeprefix(MANAGE)), **variables)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    else:
        shell(command.replace(".venv/bin/python", sys.executable), variables)


def test_the_pages_use_every_management_command() -> None:
    for app in ("airtable_sync", "webhooks"):
        for command in (ROOT / app / "management/commands").glob("[a-z]*.py"):
            used = f"manage.py {command.stem}"
            assert any(used in each.read_text(encoding="utf-8") for each in DOCUMENTS), command


def test_every_page_with_commands_has_a_test() -> None:
    pages: dict[str, set[str]] = {language: set() for language in SHELLS}
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for language in SHELLS:
            if blocks(text, language):
                pages[language].add(str(document.relative_to(ROOT)))
    assert set(ELSEWHERE) <= pages["sh"] | pages["console"]
    assert pages["bash"] - set(ELSEWHERE) == set(OTHER_MACHINES)
    assert pages["console"] <= set(ELSEWHERE)
    for test in {*ELSEWHERE.values(), *OTHER_MACHINES.values()} - {""}:
        assert (ROOT / test).exists()


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Sphinx checks the links between the pages, and that each is in the contents."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["--doctree-dir", str(tmp_path / "doctrees"), "docs", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "site/problems/slow-answers.html").read_text(encoding="utf-8")
    assert "How to check" in page


def test_every_problem_has_the_four_sections() -> None:
    pages = set((ROOT / "docs/problems").glob("*.md")) - {ROOT / "docs/problems/index.md"}
    index = (ROOT / "docs/problems/index.md").read_text(encoding="utf-8")
    assert len(pages) > 20
    for page in pages:
        headings = [
            line for line in page.read_text(encoding="utf-8").splitlines() if line[:3] == "## "
        ]
        assert headings == [
            "## What you see",
            "## What it means",
            "## What to do",
            "## How to check",
        ], page.name
        assert f"]({page.name})" in index
