"""check_cache says, once each, what the platforms that are set up can't use."""

import json
import time
from typing import Any

import pytest

from airtable_sync.cache.entry import Entry
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import run
from tests.support.services import platforms, services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "airtable")]


@pytest.fixture
def set_up(settings: Any) -> Any:
    """Sets up these platforms, and no other."""

    def only(*names: str) -> None:
        for platform in platforms().values():
            chosen = platform.name in names
            setattr(settings, platform.secrets_setting, ["secret"] if chosen else [])

    return only


def cache(config: dict[str, str]) -> None:
    entry = Entry(NUMBER, config, int(time.time() * 1000), "refresh")
    services().call_store.write([entry], announce_unchanged=False)


def check(name: str) -> dict[str, Any]:
    status, output = run("check_cache", "--json")
    assert status == 0
    return next(each for each in json.loads(output)["checks"] if each["check"] == name)


def warning(name: str) -> str:
    found = check(name)
    assert (found["ok"], found["warning"]) == (True, True)
    return str(found["detail"])


def test_a_setting_that_no_platform_uses_is_reported_once_with_the_platforms_that_would(
    set_up: Any,
) -> None:
    set_up("retell", "vapi")
    sentence = warning("mapping settings")
    assert sentence == (
        "The mapping reads the setting twilio_connect_url, but no platform that is set up "
        "(retell, vapi) uses it. Only twilio, generic would: set up one of them, or remove it "
        "from the mapping."
    )
    set_up("telnyx")
    assert "the setting agent_id, but" in warning("mapping settings")
    set_up("retell", "twilio")
    found = check("mapping settings")
    assert (found["warning"], found["detail"]) == (
        False,
        "agent_id, twilio_connect_url: each is used by a platform",
    )


def test_names_that_a_platform_cannot_use_are_reported_once_with_its_rule_and_the_remedy(
    set_up: Any,
) -> None:
    set_up("retell", "fishaudio", "vapi")
    assert "every platform can use their names" in check("mapping variables")["detail"]
    cache({**JOHN, "Customer Name": "John", "direction": "in", "customer": "x"})
    sentence = warning("mapping variables")
    assert "retell can't use direction: a name has no braces" in sentence
    assert "vapi can't use Customer Name, customer: a name has letters, digits" in sentence
    assert "fishaudio can't use nl-be_agent_name, Customer Name: a name has" in sentence
    assert sentence.endswith(
        'To change that, set names = "snake_case" under [format] in the mapping, or rename the '
        "variables that are named."
    )


def test_too_many_variables_and_values_that_are_too_long_are_reported(set_up: Any) -> None:
    set_up("fishaudio")
    many = {f"name_{index}": "x" for index in range(60)}
    cache({**many, "long": "x" * 1001, "short": "x" * 1000})
    sentence = warning("mapping variables")
    assert "leaves out values of over 1,000 characters: long." in sentence
    assert "fishaudio reads 50 of 62 variables." in sentence


def test_without_a_platform_nothing_is_compared(set_up: Any) -> None:
    set_up()
    _, output = run("check_cache", "--json")
    names = {each["check"] for each in json.loads(output)["checks"]}
    assert "mapping" in names
    assert not names & {"mapping settings", "mapping variables"}
