"""The settings of a called number, as its records have them, for the platforms' answers."""

import json
from collections.abc import Mapping
from typing import Any

from airtable_sync.lookup.answer import Answer


def is_ticked(answer: Answer, name: str) -> bool:
    return answer.settings.get(name) == "true"


def json_setting(answer: Answer, name: str) -> dict[str, Any] | None:
    """None if it is not set. It was validated when the base was read."""
    text = answer.settings.get(name)
    return json.loads(text) if text else None


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
