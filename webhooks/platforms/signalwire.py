"""SignalWire's request for a SWML document:
https://signalwire.com/docs/swml/reference/calling#webhook-payload"""

import hmac
import json
import logging
import re
from typing import Any

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import is_one_of, sha256_hmac
from webhooks.platforms.base import ANONYMOUS, Call, NotACall, Platform
from webhooks.platforms.number_settings import chosen, is_ticked, transfer_target
from webhooks.platforms.parsing import json_object, member, optional_text
from webhooks.platforms.signed_address import possible_addresses
from webhooks.platforms.variable_names import NameRule

logger = logging.getLogger(__name__)

_HEADER = "X-Signalwire-SHA256-Signature"


class SignalWire(Platform):
    name = "signalwire"
    secrets_setting = "SIGNALWIRE_SIGNING_KEY"
    signing_setting = secrets_setting
    deadline_seconds = 5.0  # SignalWire does not document its limit
    # https://signalwire.com/docs/swml/reference/variables: `${global_data.customer_name}` is a path
    # or else a JavaScript expression.
    name_rule = NameRule("letters, digits and _, first no digit", re.compile(r"[^\W\d]\w*"))
    used_settings = frozenset({"prompt", "first_message", "transfer_to", "reject"})

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._public_url = settings.GIVEN_PUBLIC_URL or ""
        self._swml_url = settings.SIGNALWIRE_SWML_URL or ""

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """Over the address and the raw body.
        https://signalwire.com/docs/swml/guides/webhook-security"""
        given = request.headers.get(_HEADER, "")
        return any(
            is_one_of(given, [sha256_hmac(key, _signed(address, body)) for key in self.secrets])
            for address in possible_addresses(request, self._public_url)
        )

    def parse_call(self, body: bytes) -> Call:
        event = json_object(body)
        if "message" in event and "call" not in event:  # a text message asks for a document too
            raise NotACall
        call = member(event, "call", dict, "call")
        to_number = member(call, "to", str, "call.to")
        caller = optional_text(call, "from")
        return Call(to_number, call_id=optional_text(call, "call_id"), from_number=caller)

    def response(self, call: Call, answer: Answer) -> Response:
        """The first of a rejection, a transfer, an agent with the number's prompt, and the SWML
        document of all others."""
        prompt = answer.settings.get("prompt", "")
        if is_ticked(answer, "reject"):
            return _swml({"hangup": {"reason": "decline"}})
        if target := transfer_target(answer):
            return _swml({"connect": {"to": target}})
        if prompt:
            agent: dict[str, Any] = {"prompt": {"text": prompt}, "global_data": answer.variables}
            if parameters := chosen(answer, static_greeting="first_message"):
                agent["params"] = parameters
            return _swml({"answer": {}}, {"ai": agent})
        if self._swml_url:
            return _swml({"transfer": {"dest": self._swml_url, "params": answer.variables}})
        logger.warning("No agent for %s: SIGNALWIRE_SWML_URL is not set", answer.number)
        return _swml({"hangup": {}})

    def acknowledgement(self) -> Response:
        return _swml()

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        call = {
            "call_id": "00000000-0000-0000-0000-000000000000",
            "call_state": "created",
            "direction": "inbound",
            "from": from_number,
            "to": to_number,
        }
        return json.dumps({"call": call, "vars": {}, "envs": {}, "params": {}}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        return {_HEADER: hmac.new(secret.encode(), _signed(address, body), "sha256").hexdigest()}

    @classmethod
    def sandbox_variables(cls) -> dict[str, str]:
        return {
            **super().sandbox_variables(),
            "SIGNALWIRE_SWML_URL": "https://agent.example/swml",
        }


def _signed(address: str, body: bytes) -> bytes:
    return address.encode("utf-8", "replace") + body


def _swml(*steps: dict[str, Any]) -> Response:
    return json_response({"version": "1.0.0", "sections": {"main": list(steps)}})
