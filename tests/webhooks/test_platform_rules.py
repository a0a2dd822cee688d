"""What the adapters say of settings and names is what they do."""

import json
from typing import Any

import pytest

from airtable_sync.mapping.settings import AGENT_ID, JSON_SETTINGS, SETTINGS
from tests.support.cast import NUMBER
from tests.support.platforms import known
from tests.support.services import platforms

TICKED = {"reject": "true", "twilio_connect_url": "wss://own.example/ws"}


def response(platform: str, **own: str) -> bytes:
    found = platforms()[platform]
    call = found.parse_call(found.sample_body(NUMBER))._replace(call_id="call_1")
    return found.response(call, known({}, **own)).body


@pytest.mark.parametrize("name", platforms())
def test_a_setting_changes_the_answer_of_exactly_the_platforms_that_name_it(
    name: str, settings: Any
) -> None:
    settings.TWILIO_CONNECT_URL = settings.PLIVO_CONNECT_URL = "wss://agent.example/ws"
    settings.VAPI_ASSISTANT_ID = "a1"
    changing = set()
    for setting in SETTINGS:
        text = json.dumps({"a": 1}) if setting in JSON_SETTINGS else TICKED.get(setting, "text")
        for others in ({}, {"agent_id": "agent_1"}, {"prompt": "Be brief."}):
            if response(name, **{**others, setting: text}) != response(name, **others):
                changing.add(setting)
    assert changing == platforms()[name].used_settings
    assert AGENT_ID in changing or name not in {"retell", "vapi", "synthflow"}


@pytest.mark.parametrize(
    ("platform", "usable", "unusable"),
    [
        ("retell", ["customer_name", "nl-be_agent_name", "Customer Name"], ["call_id", " a", "a}"]),
        ("elevenlabs", ["customer_name", "secret__token"], ["system__time", "{a"]),
        ("vapi", ["nl-be_agent_name", "1st", "réunion"], ["a b", "a.b", "12", "-a", "a-", "now"]),
        ("vapi", ["x"], ["customer", "true", "and", "a:b", "a/b", "(a)", ""]),
        ("signalwire", ["customer_name", "é1"], ["1st", "a-b", "a b", ""]),
        ("plivo", ["Customer Name", "a.b"], [""]),
        ("twilio", ["Customer Name", "a.b"], ["", "a\nb"]),
        ("telnyx", ["customer_name"], ["telnyx_agent_target", "a\t"]),
        ("synthflow", ["customer_name"], ["user_phone_number", "{a}"]),
        ("fishaudio", ["customer_name", "a1"], ["nl-be_agent_name", "1st", "_a", "a b", "é"]),
        ("generic", ["nl-be_agent_name"], ["a.b", "a b", "a[0]", ""]),
    ],
)
def test_which_names_a_platform_can_use(
    platform: str, usable: list[str], unusable: list[str]
) -> None:
    found = platforms()[platform]
    assert [name for name in [*usable, *unusable] if found.can_use(name)] == usable
