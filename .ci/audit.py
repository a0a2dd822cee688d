"""Are vulnerabilities known of what is locked? Fails if so. Where the service that knows can't be
reached, says that nothing was looked at, and goes on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCKED = Path(__file__).resolve().parent.parent / "requirements.txt"
SECONDS = 120


def main() -> int:
    packages = _audited()
    found = [(each, bug) for each in packages for bug in each.get("vulns", [])]
    for package, bug in found:
        fixed = ", ".join(bug["fix_versions"]) or "nothing yet"
        print(f"{package['name']} {package['version']}: {bug['id']}, fixed in {fixed}")
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        print("The dependency audit was SKIPPED: the service that knows can't be reached.")
        return 0
    print(f"Looked at {len(packages) - len(unknown)} packages: {len(found)} known vulnerabilities.")
    if unknown:
        print(f"NOT looked at, for the service does not know them: {', '.join(unknown)}")
    return 1 if found else 0


def _audited() -> list[dict[str, Any]]:
    """What pip-audit says of each package; nothing if it can't say anything."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner=off", "--format=json"]
    locked = ["--disable-pip", "--require-hashes", "--requirement", str(LOCKED)]
    try:
        done = subprocess.run(
            [*command, *locked], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return list(json.loads(done.stdout)["dependencies"])
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return []


if __name__ == "__main__":
    sys.exit(main())
