"""The settings of a called number, as its records have them, for the platforms' answers."""

import json
from collections.abc import Mapping
from typing import Any

from airtable_sync.lookup.answer import Answer
from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.mapping.settings import problem_of_setting


def is_ticked(answer: Answer, name: str) -> bool:
    return answer.settings.get(name) == "true"


def json_setting(answer: Answer, name: str) -> dict[str, Any] | None:
    """None if it is not set, or unusable: it was validated when the base was read, but the entry
    may have been written otherwise."""
    text = answer.settings.get(name)
    if not text or problem_of_setting(name, text):
        return None
    value: dict[str, Any] = json.loads(text)
    return value


def transfer_target(answer: Answer) -> str:
    """A telephone number, in E.164 if it has a country code, or a SIP address. "" if it is not
    set."""
    target = answer.settings.get("transfer_to", "").strip()
    return target if is_sip_address(target) else to_e164(target, "") or target


def chosen(answer: Answer, **names: str) -> dict[str, str]:
    """The settings that are set: `names` are the platform's names, each with the setting's."""
    found = {ours: answer.settings.get(theirs, "") for ours, theirs in names.items()}
    return {name: text for name, text in found.items() if text}


def is_sip_address(target: str) -> bool:
    """Whether a call is transferred to a SIP address, and not to a telephone number."""
    return target.lower().startswith(("sip:", "sips:"))


def without_empty(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without members that are None, "" or empty objects."""
    return {name: value for name, value in content.items() if value not in (None, "", {})}
