"""The pages of the platforms: one shape, true examples, and Python that runs."""

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from tests.support.asgi_client import Response, send
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import cache_them, known
from tests.support.servers.server import ROOT
from tests.support.services import platforms
from webhooks.platforms.base import Call

FOLDER = ROOT / "docs/platforms"
OVERVIEW = (ROOT / "docs/platforms.md").read_text(encoding="utf-8")
PAGES = sorted(FOLDER.glob("*.md"))
HEADINGS = ["Set it up", "What is sent back", "Limits", "See that it works"]


def page(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.mark.parametrize("name", platforms())
def test_every_platform_has_a_page_in_the_same_shape(name: str) -> None:
    text, platform = page(name), platforms()[name]
    assert re.findall(r"^## (.*)$", text, re.M) == HEADINGS
    assert f"/webhooks/{name}/" in text
    assert platform.secrets_setting in text
    assert f"{platform.deadline_seconds:g} s at most" in " ".join(text.split())
    assert f"place_call +32460234291 --platform {name}`" in text
    assert f"(platforms/{name}.md)" in OVERVIEW


@pytest.mark.parametrize("name", platforms())
def test_a_page_and_the_overview_name_the_settings_that_the_platform_uses(name: str) -> None:
    text, used = page(name), platforms()[name].used_settings
    if name == "generic":
        assert "All settings of the number are in `settings`" in text
        return
    rows = re.findall(r"^\| (`.*?) \|", text, re.M)
    assert {word for row in rows for word in re.findall(r"`(\w+)`", row)} == used
    label = next(iter(re.findall(r"^# (.*)$", text, re.M)))
    listed = re.findall(r"^\| (`.*?) \| ([A-Z].*?) \|$", OVERVIEW, re.M)
    found = {
        word for row, users in listed if label in users for word in re.findall(r"`(\w+)`", row)
    }
    assert found == used


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_facts_of_third_parties_are_explained_and_json_is_json(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ("†" in text) == bool(re.search(r"^† Found ", text, re.M))
    for block in blocks(text, "json"):
        json.loads(block)


@pytest.mark.parametrize("name", ["retell", "elevenlabs", "telnyx", "synthflow", "generic"])
def test_what_is_sent_back_has_the_members_of_the_example(name: str) -> None:
    example = json.loads(blocks(page(name).partition("## What is sent back")[2], "json")[0])
    own = {"agent_id": "agent_7", "first_message": "Hello!", "language": "nl"}
    call = Call(NUMBER, "call_inbound" if name == "retell" else "")
    answer = platforms()[name].response(call, known({"customer_name": "John Doe"}, **own))
    assert members(example) <= members(json.loads(answer.body))


def members(value: Any, path: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {path}
    return {each for name, inner in value.items() for each in members(inner, f"{path}.{name}")}


@pytest.fixture
def siftly(monkeypatch: pytest.MonkeyPatch, fake_redis: str, settings: Any) -> None:
    """The guides' `requests` reach the application in this process."""
    cache_them(settings)
    monkeypatch.setenv("SIFTLY_URL", "http://siftly")
    for name in ("GENERIC_WEBHOOK_SECRET", "STANDARD_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, getattr(settings, name)[0])

    def answered(url: str, method: str, headers: dict[str, str], body: str, query: str) -> Any:
        path = urlsplit(url).path
        response = send(path, body.encode(), headers, method, query.encode())
        return SimpleNamespace(json=response.json, raise_for_status=lambda: check(response))

    def check(response: Response) -> None:
        assert response.status == 200, response.body

    def get(url: str, *, params: Any, headers: Any, timeout: float) -> Any:
        return answered(url, "GET", headers, "", urlencode(params))

    def post(url: str, *, data: str, headers: Any, timeout: float) -> Any:
        return answered(url, "POST", headers, data, "")

    monkeypatch.setattr(requests, "get", get)
    monkeypatch.setattr(requests, "post", post)


def python_of(name: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    for block in blocks(page(name), "python"):
        exec(block, scope)
    return scope


@pytest.mark.usefixtures("siftly")
def test_the_python_of_the_guides_gets_the_variables() -> None:
    agents = python_of("agents")
    assert agents["context"](NUMBER, "+32470000001") == JOHN
    attributes = {"sip.trunkPhoneNumber": NUMBER, "sip.phoneNumber": "+32470000001"}
    livekit = agents["variables_of"](SimpleNamespace(attributes=attributes))
    assert asyncio.run(livekit) == JOHN
    dial_in = SimpleNamespace(dialin_settings=SimpleNamespace(To=NUMBER, From=None))
    assert asyncio.run(agents["variables_of_dial_in"](dial_in)) == JOHN
    assert python_of("standard")["variables"](NUMBER) == JOHN


def test_pipecat_cloud_gets_the_twiml_of_the_guide() -> None:
    twilio = platforms()["twilio"]
    shown = blocks(page("twilio"), "xml")[1]
    variables = {
        "_pipecatCloudServiceHost": "my-agent.my-organization",
        "customer_name": "John Doe",
    }
    address = "wss://api.pipecat.daily.co/ws/twilio#stream"
    answer = known(variables, twilio_connect_url=address)
    body = twilio.response(Call(NUMBER), answer).body.decode()
    assert body.partition("?>")[2].strip() == re.sub(r">\s+<", "><", shown).strip()


def test_assemblyai_and_bland_take_the_variables_by_a_path_that_is_there() -> None:
    answer = json.loads(platforms()["generic"].response(Call(NUMBER), known(JOHN)).body)
    [assemblyai], [bland] = (json.loads(each) for each in blocks(page("generic"), "json")[:2])
    paths = [each["path"] for each in assemblyai["returns"]]
    paths += [each["data"].removeprefix("$.") for each in bland["response_data"]]
    for path in paths:
        outer, inner = path.split(".")
        assert answer[outer][inner] == JOHN["customer_name"]
