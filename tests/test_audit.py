"""The audit of what is locked: what is known to be vulnerable fails, and no gap is hidden."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server import ROOT

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
UNKNOWN = {"name": "redis", "skip_reason": "Dependency not found on PyPI"}
BUG = {"id": "CVE-1", "fix_versions": ["27.1"]}
VULNERABLE = {"name": "gunicorn", "version": "27.0", "vulns": [BUG]}


def audit(folder: Path, said: str) -> tuple[int, str]:
    """With a pip-audit that says this."""
    (folder / "pip_audit.py").write_text(f"print({said!r})")
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/audit.py"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("dependencies", "status", "sentence"),
    [
        ([CLEAN], 0, "Looked at 1 packages: 0 known"),
        ([CLEAN, VULNERABLE], 1, "gunicorn 27.0: CVE-1, fixed in 27.1"),
        ([UNKNOWN, VULNERABLE], 1, "gunicorn 27.0: CVE-1, fixed in 27.1"),
        ([CLEAN, UNKNOWN], 0, "NOT looked at, for the service does not know them: redis"),
        ([UNKNOWN], 0, "SKIPPED"),
        ([], 0, "SKIPPED"),
    ],
)
def test_what_is_known_decides(
    dependencies: list[dict[str, Any]], status: int, sentence: str, tmp_path: Path
) -> None:
    returned, output = audit(tmp_path, json.dumps({"dependencies": dependencies, "fixes": []}))
    assert returned == status
    assert sentence in output


def test_a_service_that_is_away_is_said(tmp_path: Path) -> None:
    assert audit(tmp_path, "no JSON") == (
        0,
        "The dependency audit was SKIPPED: the service that knows can't be reached.\n",
    )
