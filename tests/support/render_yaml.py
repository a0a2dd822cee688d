"""A stand-in for Render: gives each service of render.yaml its variables, and runs its commands.
https://render.com/docs/blueprint-spec, https://render.com/docs/environment-variables"""

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.servers.server import ROOT

BLUEPRINT: dict[str, Any] = yaml.safe_load((ROOT / "render.yaml").read_text(encoding="utf-8"))
SERVICES = {service["name"]: service for service in BLUEPRINT["services"]}
DATABASES = {database["name"]: database for database in BLUEPRINT["databases"]}
GROUPS = {group["name"]: group for group in BLUEPRINT["envVarGroups"]}
WEB, CRON = SERVICES["siftly"], SERVICES["siftly-refresh"]
# Render prompts for these, and they are not secret.
NOT_SECRET = {
    "AIRTABLE_BASE_ID",
    "AIRTABLE_PLAN",
    "AIRTABLE_POLL_SECONDS",
    "LOOKUP_DEADLINE_SECONDS",
    "PLIVO_CONNECT_URL",
    "SIGNALWIRE_SWML_URL",
    "TO_NUMBERS",
    "TWILIO_CONNECT_URL",
    "VAPI_ASSISTANT_ID",
}


def variables(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The entry of each variable of a service in render.yaml."""
    groups = [each["fromGroup"] for each in service["envVars"] if "fromGroup" in each]
    shared = [each for group in groups for each in GROUPS[group]["envVars"]]
    own = [each for each in service["envVars"] if "key" in each]
    return {each["key"]: each for each in [*shared, *own]}


@dataclass
class Render:
    port: int
    connections: Mapping[str, str]  # name of each database and cache -> its address
    prompted: Mapping[str, str]  # the values that a person enters
    airtable_url: str  # the sandbox; the only difference from Render
    generated: dict[str, str] = field(default_factory=dict)

    def environment(self, service: dict[str, Any]) -> dict[str, str]:
        values = {key: self._value(each) for key, each in variables(service).items()}
        return {**self._set_by_render(service), **values}

    def run(self, service: dict[str, Any], command: str) -> "subprocess.CompletedProcess[str]":
        words = ["bash", "-c", service[command]]
        env = self.environment(service)
        return subprocess.run(
            words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
        )

    def start(self, service: dict[str, Any], log: Path) -> "subprocess.Popen[bytes]":
        words = ["bash", "-c", f"exec {service['startCommand']}"]
        with log.open("wb") as output:
            return subprocess.Popen(
                words, cwd=ROOT, env=self.environment(service), stdout=output, stderr=output
            )

    def _value(self, variable: dict[str, Any]) -> str:
        key = variable["key"]
        if "value" in variable:
            return str(variable["value"])
        if variable.get("generateValue"):
            new = base64.b64encode(secrets.token_bytes(32)).decode()
            return self.generated.setdefault(key, new)
        if "sync" in variable:
            return self.prompted.get(key, "")
        source = variable.get("fromService") or variable["fromDatabase"]
        if other := source.get("envVarKey"):
            return self._value(variables(SERVICES[source["name"]])[other])
        return self.connections[source["name"]]

    def _set_by_render(self, service: dict[str, Any]) -> dict[str, str]:
        common = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TMPDIR": os.environ["TMPDIR"],
            "HOME": os.environ.get("HOME", "/"),
            "ENV_FILE": os.devnull,
            "AIRTABLE_API_URL": self.airtable_url,
            "RENDER": "true",
            "RENDER_SERVICE_TYPE": service["type"],
            "RENDER_SERVICE_NAME": service["name"],
            "RENDER_GIT_COMMIT": "0123456789abcdef0123456789abcdef01234567",
        }
        if service["type"] == "cron":
            return common
        host = f"{service['name']}.onrender.com"
        return {
            **common,
            "RENDER_EXTERNAL_HOSTNAME": host,
            "RENDER_EXTERNAL_URL": f"https://{host}",
            "PORT": str(self.port),
        }
