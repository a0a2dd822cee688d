"""The files around the code: metadata, the changelog, the linters before a commit, CI."""

import re
import subprocess
import sys
import tomllib
from typing import Any

import yaml

from tests.support.servers.server import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
VERSION = r"\d+\.\d+\.\d+"
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
CI: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))


def releases() -> list[str]:
    """The versions in the changelog, newest first."""
    return re.findall(rf"^## \[({VERSION})\] - \d{{4}}-\d\d-\d\d$", CHANGELOG, re.M)


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    sections = re.findall(r"^## (.*)$", CHANGELOG, re.M)
    assert sections[0] == "[Unreleased]"
    assert len(sections) == len(releases()) + 1
    numbers = [tuple(int(part) for part in each.split(".")) for each in releases()]
    assert numbers == sorted(set(numbers), reverse=True)
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.M)) <= KINDS


def test_the_version_of_the_project_is_the_newest_release() -> None:
    assert PROJECT["project"]["version"] == releases()[0]


def test_every_tag_has_an_entry() -> None:
    command = ["git", "tag", "--list", "v*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    tags = {tag.removeprefix("v") for tag in done.stdout.split()}
    assert tags <= set(releases())


def test_the_lock_has_every_package_that_the_project_names() -> None:
    """With the hashes, and without the address of any registry."""
    group = [each for each in PROJECT["dependency-groups"]["dev"] if isinstance(each, str)]
    group += PROJECT["dependency-groups"]["docs"]
    for file, named in (
        ("requirements.txt", PROJECT["project"]["dependencies"]),
        ("requirements-dev.txt", [*PROJECT["project"]["dependencies"], *group]),
    ):
        text = (ROOT / file).read_text(encoding="utf-8")
        locked = set(re.findall(r"^([a-z0-9-]+)(?:\[.*?\])?==", text, re.M))
        names = {re.match(r"[\w-]+", each)[0].lower().replace("_", "-") for each in named}  # type: ignore[index]
        assert names <= locked
        assert "://" not in text
        assert text.count("==") <= text.count("--hash=")


def test_the_linters_before_a_commit_are_those_of_make_lint() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    # pre-commit names files, which ruff would otherwise check in excluded folders too.
    entries = {
        each["entry"].replace(" --force-exclude", "")
        for repo in hooks["repos"]
        for each in repo["hooks"]
    }
    recipe = MAKEFILE.partition("\nlint:")[2].partition("\n\n")[0]
    for line in re.findall(r"^\t(.*)$", recipe, re.M):
        if ".ci/audit.py" in line:
            continue
        linter = line.replace("$(BIN)", ".venv/bin").replace("--quiet ", "")
        linter = re.sub(r" (\.|--check \.|\.github/.*|deploy/.*)$", "", linter)
        linter = linter.replace("ruff check", "ruff check --fix")
        linter = linter.replace("SECRET_KEY=lint", "env SECRET_KEY=lint")
        assert linter in {each.removesuffix(" .") for each in entries}, line


def test_pre_commit_accepts_its_configuration() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def test_ci_runs_the_targets_of_make_on_every_supported_python() -> None:
    runs = [step["run"] for job in CI["jobs"].values() for step in job["steps"] if "run" in step]
    for target in ("lint", "test", "test-postgres", "docs"):
        assert f"make {target}" in runs
    matrix = CI["jobs"]["tests"]["strategy"]["matrix"]["python"]
    classifiers = PROJECT["project"]["classifiers"]
    assert [f"Programming Language :: Python :: {each}" for each in matrix] == [
        each for each in classifiers if re.search(r"Python :: 3\.\d+$", each)
    ]
    assert PROJECT["project"]["requires-python"] == f">={matrix[0]}"


def test_ci_uses_actions_of_a_fixed_commit_and_may_only_read() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert CI["permissions"] == {"contents": "read"}
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
