"""Tests the audit of the locked packages: a known vulnerability fails, and no gap is hidden."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.server import ROOT

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
UNKNOWN = {"name": "redis", "skip_reason": "Dependency not found on PyPI"}
BUG = {"id": "CVE-1", "fix_versions": ["27.1"]}
VULNERABLE = {"name": "gunicorn", "version": "27.0", "vulns": [BUG]}
UNREACHABLE = "requests.exceptions.ProxyError: HTTPSConnectionPool(host='h', port=443): Max retries"


def audit(folder: Path, program: str, **variables: str) -> tuple[int, str]:
    """Runs the audit with this program as pip-audit. Returns its exit status and its output."""
    (folder / "pip_audit.py").write_text(program)
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/audit.py"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def reporting(dependencies: list[dict[str, Any]], last_error: str = "", status: int = 0) -> str:
    """A program that prints this report as pip-audit does."""
    report = json.dumps({"dependencies": dependencies, "fixes": []})
    return (
        f"import sys\nprint({report!r})\nprint({last_error!r}, file=sys.stderr)\nsys.exit({status})"
    )


def failing(last_error: str) -> str:
    return f"import sys\nprint('Traceback', file=sys.stderr)\nsys.exit({last_error!r})"


@pytest.mark.parametrize(
    ("dependencies", "status", "sentence"),
    [
        ([CLEAN], 0, "1 packages audited, 0 known"),
        ([CLEAN, VULNERABLE], 1, "gunicorn 27.0: CVE-1, fixed in 27.1"),
        ([UNKNOWN, VULNERABLE], 1, "gunicorn 27.0: CVE-1, fixed in 27.1"),
        ([CLEAN, UNKNOWN], 0, "NOT audited, because the service does not know them: redis"),
        ([UNKNOWN], 0, "SKIPPED: the vulnerability service knows none of 1 packages"),
        ([], 1, "FAILED"),
    ],
)
def test_only_a_known_vulnerability_or_an_empty_report_fails(
    dependencies: list[dict[str, Any]], status: int, sentence: str, tmp_path: Path
) -> None:
    returned, output = audit(tmp_path, reporting(dependencies))
    assert returned == status
    assert sentence in output


def test_the_development_packages_are_audited_too(tmp_path: Path) -> None:
    output = audit(tmp_path, reporting([CLEAN]))[1]
    assert output.splitlines() == [
        "requirements.txt: 1 packages audited, 0 known vulnerabilities.",
        "requirements-dev.txt: 1 packages audited, 0 known vulnerabilities.",
    ]


def test_a_vulnerability_in_either_file_fails(tmp_path: Path) -> None:
    """pip-audit itself exits with 1 in this case."""
    vulnerable = json.dumps({"dependencies": [VULNERABLE]})
    clean = json.dumps({"dependencies": [CLEAN]})
    for bad in ("requirements.txt", "requirements-dev.txt"):
        program = (
            "import sys\n"
            f"bad = sys.argv[-1].endswith('/{bad}')\n"
            f"print({vulnerable!r} if bad else {clean!r})\n"
            "sys.exit(bad)"
        )
        returned, output = audit(tmp_path, program)
        assert returned == 1
        assert "CVE-1" in output
        assert "0 known" in output


@pytest.mark.parametrize(
    "last_error",
    [
        UNREACHABLE,
        "requests.exceptions.ReadTimeout: timed out",
        "ERROR: Could not connect to PyPI's feed",
    ],
)
def test_an_unreachable_service_is_reported_with_its_last_error(
    last_error: str, tmp_path: Path
) -> None:
    returned, output = audit(tmp_path, failing(last_error))
    assert returned == 0
    assert output.count("SKIPPED: the vulnerability service can't be reached") == 2
    assert last_error in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "program",
    [
        failing("ModuleNotFoundError: No module named 'pip_audit'"),
        failing("ERROR: package pydantic has duplicate requirements"),
        "print('no JSON')",
        reporting([CLEAN], "an error after all", status=2),
    ],
    ids=["not installed", "invalid input", "no JSON", "status 2"],
)
def test_a_broken_audit_fails(program: str, tmp_path: Path) -> None:
    returned, output = audit(tmp_path, program)
    assert returned == 1
    assert "FAILED" in output
    assert "SKIPPED" not in output


@pytest.mark.parametrize(
    "program", [failing(UNREACHABLE), reporting([UNKNOWN])], ids=["unreachable", "unknown"]
)
def test_a_skipped_audit_fails_if_an_audit_is_required(program: str, tmp_path: Path) -> None:
    returned, output = audit(tmp_path, program, SIFTLY_REQUIRE_AUDIT="1")
    assert returned == 1
    assert "SIFTLY_REQUIRE_AUDIT is set" in output
