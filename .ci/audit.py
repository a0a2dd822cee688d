"""Are vulnerabilities known of what is locked? Fails if so, and if nothing could be found out for
another reason than that the service that knows can't be reached: then it says that nothing was
looked at, and goes on, unless SIFTLY_REQUIRE_AUDIT is set."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKED = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
SECONDS = 120
# How pip-audit, requests and urllib3 end where there is no way to the service.
UNREACHABLE = re.compile(
    r"\b(ConnectionError|ProxyError|ConnectTimeout|ReadTimeout|NameResolutionError|MaxRetryError)\b"
    r"|Could not connect to"
)


class Unreachable(Exception):
    """The message says what pip-audit said last."""


class Broken(Exception):
    """The same, where it is no matter of the network."""


def main() -> int:
    return max([_look_at(file) for file in LOCKED])


def _look_at(file: Path) -> int:
    try:
        packages, said = _audited(file)
    except Broken as error:
        print(f"{file.name}: the dependency audit FAILED: {error}")
        return 1
    except Unreachable as error:
        return _skipped(file, f"the service that knows can't be reached: {error}")
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        return _skipped(
            file, f"the service knows none of {len(packages)} packages; it said: {said}"
        )
    return _judged(file, packages, unknown)


def _judged(file: Path, packages: list[dict[str, Any]], unknown: list[str]) -> int:
    found = [(each, bug) for each in packages for bug in each.get("vulns", [])]
    for package, bug in found:
        fixed = ", ".join(bug["fix_versions"]) or "nothing yet"
        print(f"{package['name']} {package['version']}: {bug['id']}, fixed in {fixed}")
    looked = len(packages) - len(unknown)
    print(f"{file.name}: looked at {looked} packages: {len(found)} known vulnerabilities.")
    if unknown:
        print(f"NOT looked at, for the service does not know them: {', '.join(unknown)}")
    return 1 if found else 0


def _skipped(file: Path, reason: str) -> int:
    print(f"{file.name}: the dependency audit was SKIPPED: {reason}")
    if not os.environ.get("SIFTLY_REQUIRE_AUDIT"):
        return 0
    print("SIFTLY_REQUIRE_AUDIT is set: that is a failure.")
    return 1


def _audited(file: Path) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of each package, and its last words. Raises Broken, Unreachable."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner=off", "--format=json"]
    locked = ["--disable-pip", "--require-hashes", "--requirement", str(file)]
    try:
        done = subprocess.run(
            [*command, *locked], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"no answer in {SECONDS} s") from None
    said = (done.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
    packages = _packages(done.stdout)
    found = any(each.get("vulns") for each in packages)
    if packages and (done.returncode == 0 or found):
        return packages, said
    raise (Unreachable if UNREACHABLE.search(said) else Broken)(said)


def _packages(output: str) -> list[dict[str, Any]]:
    """None, if it is not what pip-audit prints."""
    try:
        return list(json.loads(output)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return []


if __name__ == "__main__":
    sys.exit(main())
