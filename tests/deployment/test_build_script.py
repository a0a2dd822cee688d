"""build.sh in an empty environment: what requirements.txt locks is all that production needs."""

import os
import re
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.render_yaml import CRON, WEB
from tests.support.server import ROOT, environment, serving

# How pip gets at packages here, if not directly.
OF_PIP = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment, after the build; from the package index, by hash."""
    folder = tmp_path_factory.mktemp("built") / "venv"
    venv.create(folder, with_pip=True)
    from_here = {name: value for name, value in os.environ.items() if is_of_pip(name)}
    done = run(
        folder / "bin", WEB["buildCommand"], {**from_here, "HOME": os.environ.get("HOME", "/")}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Successfully installed" in done.stdout
    return folder / "bin"


def is_of_pip(name: str) -> bool:
    return name.upper().startswith(OF_PIP)


def run(
    programs: Path, command: str, variables: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    env = {**environment(**variables), "PATH": f"{programs}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_built_checks_migrates_serves_and_refreshes(built: Path, tmp_path: Path) -> None:
    """Without a package that only development has; each command is the deployment's own."""
    listed = run(built, "python -m pip list --format=freeze", {}).stdout.lower()
    assert "django==" in listed
    assert "pytest" not in listed
    assert "starlette" not in listed
    variables = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "AIRTABLE_API_URL": "http://127.0.0.1:1",
    }
    for command in ("python manage.py check", WEB["preDeployCommand"]):
        done = run(built, command, variables)
        assert done.returncode == 0, done.stderr
    with serving(tmp_path, variables, command=[built / "gunicorn", "siftly.asgi"]) as server:
        answer = server.call("+32460234291")
        assert (answer.status_code, answer.headers["X-Siftly-Source"]) == (200, "default")
    refreshed = run(built, CRON["startCommand"], variables)
    assert refreshed.returncode == 1  # there is no Airtable, and no module is missing either
    assert "ImportError" not in refreshed.stderr
    assert "Traceback" not in refreshed.stderr


def locked(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[.*?\])?==(\S+)", text, re.M))


def test_production_has_what_it_is_tested_with() -> None:
    tested, deployed = locked("requirements-dev.txt"), locked("requirements.txt")
    assert len(deployed) > 40
    assert {name: tested[name] for name in deployed} == deployed
