"""build.sh in an empty environment: production needs nothing but the packages of
requirements.txt."""

import ast
import os
import re
import subprocess
import venv
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.render_yaml import CRON, WEB
from tests.support.servers.server import ROOT, environment, serving

# Variables that pip needs to download packages.
PIP_VARIABLES = (
    "PIP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment after the build, which downloads packages."""
    folder = tmp_path_factory.mktemp("built") / "venv"
    venv.create(folder, with_pip=True)
    for_pip = {name: value for name, value in os.environ.items() if is_for_pip(name)}
    done = run(
        folder / "bin", WEB["buildCommand"], {**for_pip, "HOME": os.environ.get("HOME", "/")}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Successfully installed" in done.stdout
    return folder / "bin"


def is_for_pip(name: str) -> bool:
    return name.upper().startswith(PIP_VARIABLES)


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
@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_build_can_check_migrate_serve_and_refresh(built: Path, tmp_path: Path) -> None:
    """Without the packages of development. The commands are those of render.yaml."""
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
    assert refreshed.returncode == 1  # Airtable is unreachable; no module is missing
    assert "ImportError" not in refreshed.stderr
    assert "Traceback" not in refreshed.stderr


def locked(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[.*?\])?==(\S+)", text, re.M))


@pytest.mark.slow
def test_the_product_imports_only_packages_of_production() -> None:
    """Read from the source. The test with the real build is `long`."""
    deployed = {normalized(name) for name in locked("requirements.txt")}
    of_module = packages_distributions()
    imported = {name for name in imported_modules() if name in of_module}
    assert {"django", "redis", "pyairtable", "uvicorn"} <= imported
    missing = [
        name for name in imported if not {normalized(each) for each in of_module[name]} & deployed
    ]
    assert missing == []


def normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported_modules() -> set[str]:
    """The top-level names of all modules that the product imports."""
    found = set()
    files = [ROOT / "manage.py", ROOT / "gunicorn.conf.py"]
    for package in ("siftly", "webhooks", "airtable_sync"):
        files += (ROOT / package).rglob("*.py")
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {each.name.split(".")[0] for each in node.names}
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def test_production_has_the_tested_versions() -> None:
    tested, deployed = locked("requirements-dev.txt"), locked("requirements.txt")
    assert len(deployed) > 40
    assert {name: tested[name] for name in deployed} == deployed
