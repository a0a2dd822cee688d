"""The audit of what is locked: what is known to be vulnerable fails, and no gap is hidden."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import ROOT

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
UNKNOWN = {"name": "redis", "skip_reason": "Dependency not found on PyPI"}
BUG = {"id": "CVE-1", "fix_versions": ["27.1"]}
VULNERABLE = {"name": "gunicorn", "version": "27.0", "vulns": [BUG]}
AWAY = "requests.exceptions.ProxyError: HTTPSConnectionPool(host='h', port=443): Max retries"


def audit(folder: Path, program: str, **variables: str) -> tuple[int, str]:
    """With a pip-audit that does this."""
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


def saying(dependencies: list[dict[str, Any]], last_words: str = "", status: int = 0) -> str:
    """A pip-audit that says this."""
    said = json.dumps({"dependencies": dependencies, "fixes": []})
    return (
        f"import sys\nprint({said!r})\nprint({last_words!r}, file=sys.stderr)\nsys.exit({status})"
    )


def failing(last_words: str) -> str:
    return f"import sys\nprint('Traceback', file=sys.stderr)\nsys.exit({last_words!r})"


@pytest.mark.parametrize(
    ("dependencies", "status", "sentence"),
    [
        ([CLEAN], 0, "looked at 1 packages: 0 known"),
        ([CLEAN, VULNERABLE], 1, "gunicorn 27.0: CVE-1, fixed in 27.1"),
        ([UNKNOWN, VULNERABLE], 1, "gunicorn 27.0: CVE-1, fixed in 27.1"),
        ([CLEAN, UNKNOWN], 0, "NOT looked at, for the service does not know them: redis"),
        ([UNKNOWN], 0, "SKIPPED: the service knows none of 1 packages"),
        ([], 1, "FAILED"),
    ],
)
def test_what_is_known_decides(
    dependencies: list[dict[str, Any]], status: int, sentence: str, tmp_path: Path
) -> None:
    returned, output = audit(tmp_path, saying(dependencies))
    assert returned == status
    assert sentence in output


def test_what_development_needs_is_looked_at_too(tmp_path: Path) -> None:
    output = audit(tmp_path, saying([CLEAN]))[1]
    assert output.splitlines() == [
        "requirements.txt: looked at 1 packages: 0 known vulnerabilities.",
        "requirements-dev.txt: looked at 1 packages: 0 known vulnerabilities.",
    ]


def test_a_vulnerability_in_either_fails(tmp_path: Path) -> None:
    """pip-audit itself ends with 1 then."""
    told = json.dumps({"dependencies": [VULNERABLE]})
    clean = json.dumps({"dependencies": [CLEAN]})
    for bad in ("requirements.txt", "requirements-dev.txt"):
        program = (
            "import sys\n"
            f"bad = sys.argv[-1].endswith('/{bad}')\n"
            f"print({told!r} if bad else {clean!r})\n"
            "sys.exit(bad)"
        )
        returned, output = audit(tmp_path, program)
        assert returned == 1
        assert "CVE-1" in output
        assert "0 known" in output


@pytest.mark.parametrize(
    "last_words",
    [AWAY, "requests.exceptions.ReadTimeout: timed out", "ERROR: Could not connect to PyPI's feed"],
)
def test_a_service_that_is_away_is_said_with_its_last_words(
    last_words: str, tmp_path: Path
) -> None:
    returned, output = audit(tmp_path, failing(last_words))
    assert returned == 0
    assert output.count("SKIPPED: the service that knows can't be reached") == 2
    assert last_words in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "program",
    [
        failing("ModuleNotFoundError: No module named 'pip_audit'"),
        failing("ERROR: package pydantic has duplicate requirements"),
        "print('no JSON')",
        saying([CLEAN], "an error after all", status=2),
    ],
    ids=["not there", "input refused", "no JSON", "status 2"],
)
def test_a_broken_audit_fails(program: str, tmp_path: Path) -> None:
    returned, output = audit(tmp_path, program)
    assert returned == 1
    assert "FAILED" in output
    assert "SKIPPED" not in output


@pytest.mark.parametrize("program", [failing(AWAY), saying([UNKNOWN])], ids=["away", "unknown"])
def test_where_an_audit_is_required_a_skipped_one_fails(program: str, tmp_path: Path) -> None:
    returned, output = audit(tmp_path, program, SIFTLY_REQUIRE_AUDIT="1")
    assert returned == 1
    assert "SIFTLY_REQUIRE_AUDIT is set" in output
