"""The called number and the caller in the headers of a SIP INVITE
(https://www.rfc-editor.org/rfc/rfc3261#section-20; Diversion: RFC 5806)."""

from typing import Any

from airtable_sync.mapping.phone_numbers import number_in_address
from webhooks.platforms.base import MalformedCall


class SipHeaders:
    """`headers` as a platform sends them: `[{"name": "To", "value": "<sip:+32…@host>"}]`. A name
    may come several times, in any case. Raises MalformedCall if it is no list, or has no called
    number. What else is malformed in it is no reason to refuse the call."""

    def __init__(self, headers: Any, path: str) -> None:
        if not isinstance(headers, list):
            raise MalformedCall(f"{path} must be a list.")
        self._headers = [each for each in headers if isinstance(each, dict)]
        called = self._values("to") + self._values("diversion")
        if not called or not isinstance(called[0], str):
            raise MalformedCall(f"{path} must have a To whose value is a string.")
        # To may be the trunk itself, sip:proj_…@sip.api.openai.com: then Diversion has the number.
        # Its first one is the last number that passed the call on.
        self.called_number = _first_number(called) or called[0]
        self.caller = _first_number(self._values("from"))

    def _values(self, name: str) -> list[Any]:
        return [
            each.get("value") for each in self._headers if str(each.get("name")).lower() == name
        ]


def _first_number(addresses: list[Any]) -> str:
    numbers = (number_in_address(each) for each in addresses if isinstance(each, str))
    return next(filter(None, numbers), "")
