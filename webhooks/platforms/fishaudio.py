"""Fish Audio's inbound call webhook: https://docs.fish.audio/agents/monitor/webhooks"""

import json
import re
import time

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import is_one_of, is_recent, sha256_hmac
from webhooks.platforms.base import ANONYMOUS, Call, NotACall, Platform
from webhooks.platforms.parsing import json_object, member, optional_text
from webhooks.platforms.variable_names import NameRule

MAX_ELEMENTS = 10
_ELEMENT = re.compile(r"(t=[0-9]{1,20}|v1=[0-9a-f]{64})")


class FishAudio(Platform):
    """Fish Audio leaves out each variable that breaks one of its rules, so they do no harm."""

    name = "fishaudio"
    secrets_setting = "FISHAUDIO_WEBHOOK_SECRET"
    signing_setting = secrets_setting
    deadline_seconds = 4.5  # Fish Audio's limit is 5, unless it is set otherwise
    # https://docs.fish.audio/agents/build/dynamic-variables
    name_rule = NameRule(
        "letters of A to Z, digits and _, first a letter", re.compile("[A-Za-z][A-Za-z0-9_]*")
    )
    max_variables, max_characters = 50, 1000

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """`X-Fish-Webhook-Signature: t=<s>,v1=<hex>`, over the time and the raw body. Elements of
        other kinds (`v2=`) are ignored."""
        header = request.headers.get("X-Fish-Webhook-Signature", "")
        elements = [each.strip() for each in header.split(",", MAX_ELEMENTS)]
        found = [each.partition("=")[::2] for each in elements if _ELEMENT.fullmatch(each)]
        times = [text for kind, text in found if kind == "t"]
        if len(times) != 1 or not is_recent(int(times[0])):
            return False
        signed = f"{times[0]}.".encode() + body
        expected = [sha256_hmac(secret, signed) for secret in self.secrets]
        matches = [is_one_of(text, expected) for kind, text in found if kind == "v1"]
        return any(matches)

    def parse_call(self, body: bytes) -> Call:
        event = json_object(body)
        if (kind := member(event, "event", str, "event")) != "call.inbound":
            raise NotACall(kind)
        call = member(event, "call", dict, "call")
        to_number = member(call, "dialed_number", str, "call.dialed_number")
        call_id, caller = (
            optional_text(call, "twilio_call_sid"),
            optional_text(call, "caller_number"),
        )
        return Call(to_number, call_id=call_id, from_number=caller)

    def response(self, call: Call, answer: Answer) -> Response:
        return json_response({"dynamic_variables": answer.variables})

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        call = {
            "caller_number": from_number,
            "dialed_number": to_number,
            "agent_id": "agent_sandbox",
            "phone_number_id": "number_sandbox",
            "twilio_call_sid": "CA00000000000000000000000000000000",
        }
        return json.dumps({"event": "call.inbound", "call": call}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        now = int(time.time())
        digest = sha256_hmac(secret, f"{now}.".encode() + body)
        return {"X-Fish-Webhook-Signature": f"t={now},v1={digest}"}
