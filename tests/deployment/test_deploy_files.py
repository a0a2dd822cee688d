"""The files in deploy/ fit the code and each other. No test builds the image: that needs Docker."""

import configparser
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import yaml

from tests.docs.pages import blocks
from tests.support.modules import module_of
from tests.support.render_yaml import CRON, WEB
from tests.support.servers.server import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
DOCKER_GUIDE = (ROOT / "docs/guides/docker.md").read_text(encoding="utf-8")
SERVER_GUIDE = (ROOT / "docs/guides/server.md").read_text(encoding="utf-8")
IN_THE_VENV = "/opt/siftly/.venv/bin/"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / name)
    return parser


def test_the_image_is_not_run_by_root_and_has_a_health_check_without_a_shell() -> None:
    last_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM") :]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last_stage, re.M)
    assert re.search(r'^HEALTHCHECK .*\\\n +CMD \["/usr/bin/python3", .*/healthz', last_stage, re.M)
    assert "\nRUN" not in last_stage
    assert re.search(r'^CMD \["-m", "gunicorn", "siftly.asgi"\]$', last_stage, re.M)
    assert "--require-hashes" in DOCKERFILE


def test_the_image_has_all_that_runs_in_production() -> None:
    copied = set(re.findall(r"^COPY (\w+) /app/", DOCKERFILE, re.M))
    assert copied == {"airtable_sync", "siftly", "webhooks", "docs"}
    not_ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    for name in (*copied, "manage.py", "gunicorn.conf.py", "requirements.txt"):
        assert f"\n!{name}\n" in not_ignored
    for command in (SERVICES["migrate"]["command"], SERVICES["refresh"]["command"]):
        assert (ROOT / command[0]).exists()
        assert command[0] in DOCKERFILE


def test_the_health_check_of_the_image_tells_a_healthy_server_from_another() -> None:
    code = re.search(r'"-c", "(.*)"\]$', DOCKERFILE, re.M)
    assert code
    check = [sys.executable, "-c", code[1].replace('\\"', '"')]
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        env = {"PORT": str(server.server_port)}
        for status, is_healthy in ((200, 0), (503, 1)):
            Healthy.status = status
            done = subprocess.run(check, env=env, capture_output=True, check=False)
            assert done.returncode == is_healthy
        server.shutdown()
    assert subprocess.run(check, env=env, capture_output=True, check=False).returncode == 1


class Healthy(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        assert self.path == "/healthz"
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_compose_follows_its_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, DEPLOY / "compose.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_runs_siftly_without_rights_and_with_what_it_needs() -> None:
    for name in ("migrate", "web", "refresh"):
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert set(service["environment"]) == {"DATABASE_URL", "REDIS_URL"}
        assert set(service["depends_on"]) <= set(SERVICES)
    assert "noeviction" in SERVICES["cache"]["command"]
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8000:8000"]
    stop_seconds = int(SERVICES["web"]["stop_grace_period"].removesuffix("s"))
    assert stop_seconds == WEB["maxShutdownDelaySeconds"]


def test_the_guide_to_docker_names_the_services() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", DOCKER_GUIDE, re.M)) == set(SERVICES)
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", (DEPLOY / "compose.yaml").read_text()))
    [example] = blocks(DOCKER_GUIDE, "ini")
    assert needed <= set(re.findall(r"^([A-Z_]+)=", example, re.M))
    for block in blocks(DOCKER_GUIDE, "bash"):
        for line in block.splitlines():
            assert line.startswith("docker compose -f deploy/compose.yaml ")


def test_the_schedule_is_that_of_render() -> None:
    schedule = module_of(DEPLOY / "refresh_on_schedule.py")
    assert CRON["schedule"] == f"0 */{schedule.HOURS} * * *"
    midnight = 1_795_910_400  # 2026-11-29, 0:00 UTC
    assert schedule.seconds_until_the_next(midnight) == 3 * 3600
    assert schedule.seconds_until_the_next(midnight + 3 * 3600 - 1) == 1
    assert schedule.COMMAND[1:] == CRON["startCommand"].split()[1:]
    assert unit("siftly-refresh.timer")["Timer"]["OnCalendar"] == "*-*-* 00/3:00:00 UTC"


def test_the_procfile_and_the_units_have_the_commands_of_render() -> None:
    lines = (DEPLOY / "Procfile").read_text(encoding="utf-8").splitlines()
    commands = dict(line.split(": ", 1) for line in lines)
    assert commands == {
        "release": WEB["preDeployCommand"],
        "web": WEB["startCommand"],
        "refresh": CRON["startCommand"],
    }
    service, refresh = unit("siftly.service")["Service"], unit("siftly-refresh.service")["Service"]
    assert service["ExecStart"] == IN_THE_VENV + commands["web"]
    assert service["ExecStartPre"] == IN_THE_VENV + commands["release"]
    assert refresh["ExecStart"] == IN_THE_VENV + commands["refresh"]
    assert int(service["TimeoutStopSec"]) == WEB["maxShutdownDelaySeconds"]
    assert refresh["EnvironmentFile"] == service["EnvironmentFile"] == "/etc/siftly.env"
    for name in (service["EnvironmentFile"], service["WorkingDirectory"], "deploy/*.timer"):
        assert name in SERVER_GUIDE
