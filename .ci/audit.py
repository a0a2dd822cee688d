"""Check the locked packages for known vulnerabilities, with pip-audit. Fails if there is one, and
if the audit itself fails. If the vulnerability service can't be reached, or knows none of the
packages, the audit is skipped, with a message: a failure only if SIFTLY_REQUIRE_AUDIT is set."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK_FILES = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
TIMEOUT_SECONDS = 120
# The last line of pip-audit, requests or urllib3 if the service can't be reached.
UNREACHABLE = re.compile(
    r"\b(ConnectionError|ProxyError|ConnectTimeout|ReadTimeout|NameResolutionError|MaxRetryError)\b"
    r"|Could not connect to"
)


class ServiceUnreachable(Exception):
    """The message is the last line that pip-audit printed."""


class AuditFailed(Exception):
    """The message is the last line that pip-audit printed."""


def main() -> int:
    return max([_audit(file) for file in LOCK_FILES])


def _audit(file: Path) -> int:
    """Returns the exit status."""
    try:
        packages, last_line = _run_pip_audit(file)
    except AuditFailed as error:
        print(f"{file.name}: the audit FAILED: {error}")
        return 1
    except ServiceUnreachable as error:
        return _report_skipped(file, f"the vulnerability service can't be reached: {error}")
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        reason = f"the vulnerability service knows none of {len(packages)} packages: {last_line}"
        return _report_skipped(file, reason)
    return _report(file, packages, unknown)


def _report(file: Path, packages: list[dict[str, Any]], unknown: list[str]) -> int:
    found = [(each, bug) for each in packages for bug in each.get("vulns", [])]
    for package, bug in found:
        fixed = ", ".join(bug["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {bug['id']}, fixed in {fixed}")
    audited = len(packages) - len(unknown)
    print(f"{file.name}: {audited} packages audited, {len(found)} known vulnerabilities.")
    if unknown:
        print(f"NOT audited, because the service does not know them: {', '.join(unknown)}")
    return 1 if found else 0


def _report_skipped(file: Path, reason: str) -> int:
    print(f"{file.name}: the audit was SKIPPED: {reason}")
    if not os.environ.get("SIFTLY_REQUIRE_AUDIT"):
        return 0
    print("This is a failure, because SIFTLY_REQUIRE_AUDIT is set.")
    return 1


def _run_pip_audit(file: Path) -> tuple[list[dict[str, Any]], str]:
    """The report on each package, and the last line of standard error. Raises AuditFailed,
    ServiceUnreachable."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner=off", "--format=json"]
    locked = ["--disable-pip", "--require-hashes", "--requirement", str(file)]
    try:
        done = subprocess.run(
            [*command, *locked],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceUnreachable(f"no response within {TIMEOUT_SECONDS} s") from None
    last_line = (done.stderr.strip().splitlines() or ["pip-audit printed no error"])[-1]
    packages = _packages(done.stdout)
    found = any(each.get("vulns") for each in packages)
    if packages and (done.returncode == 0 or found):
        return packages, last_line
    raise (ServiceUnreachable if UNREACHABLE.search(last_line) else AuditFailed)(last_line)


def _packages(output: str) -> list[dict[str, Any]]:
    """Empty if the output is not a report of pip-audit."""
    try:
        return list(json.loads(output)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return []


if __name__ == "__main__":
    sys.exit(main())
