"""Twilio Programmable Voice: https://www.twilio.com/docs/usage/webhooks/voice-webhooks

An agent's address is connected as a ConversationRelay; with `#stream` behind it, a media stream."""

import base64
import hmac
import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response
from webhooks.platforms.authentication import is_one_of
from webhooks.platforms.base import ANONYMOUS, Call, MalformedCall, NotACall, Platform
from webhooks.platforms.number_settings import (
    chosen,
    is_sip_address,
    is_ticked,
    transfer_target,
)
from webhooks.platforms.parsing import form_pairs, optional_text
from webhooks.platforms.signed_address import possible_addresses
from webhooks.platforms.variable_names import NameRule
from webhooks.platforms.xml_response import xml_response, xml_text

logger = logging.getLogger(__name__)

_ENDED = ("completed", "busy", "failed", "no-answer", "canceled")


class Twilio(Platform):
    name = "twilio"
    secrets_setting = "TWILIO_AUTH_TOKEN"
    signing_setting = secrets_setting
    deadline_seconds = 13.0  # Twilio's limit is 15
    content_type = "application/x-www-form-urlencoded"
    # https://www.twilio.com/docs/voice/twiml/connect/conversationrelay: a name is the text of an
    # XML attribute, and arrives as a member of `customParameters`.
    name_rule = NameRule("no control characters", re.compile(r"[^\0-\x1f]+"))
    used_settings = frozenset(
        {"twilio_connect_url", "first_message", "language", "voice", "transfer_to", "reject"}
    )

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._public_url = settings.GIVEN_PUBLIC_URL or ""
        self._default_connect_url = settings.TWILIO_CONNECT_URL or ""

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """`X-Twilio-Signature`, over the address as Twilio knows it and the form's fields, which
        have to be read for it. https://www.twilio.com/docs/usage/webhooks/webhooks-security"""
        signature = request.headers.get("X-Twilio-Signature", "")
        try:
            fields = form_pairs(body)
        except MalformedCall:
            return False
        how = request.headers.get("X-Twilio-Webhooks-Signature-Settings", "")
        algorithm = "sha256" if "HMAC_SHA256" in how.upper() else "sha1"
        return any(
            is_one_of(signature, [_signature(each, fields, key, algorithm) for key in self.secrets])
            for each in possible_addresses(request, self._public_url)
        )

    def parse_call(self, body: bytes) -> Call:
        fields = dict(form_pairs(body))
        if "MessageSid" in fields or fields.get("CallStatus") in _ENDED:
            raise NotACall
        if "To" not in fields:
            raise MalformedCall("To is missing.")
        call_id, caller = optional_text(fields, "CallSid"), optional_text(fields, "From")
        return Call(fields["To"], call_id=call_id, from_number=caller)

    def response(self, call: Call, answer: Answer) -> Response:
        """https://www.twilio.com/docs/voice/twiml/reject, /dial, /connect/conversationrelay and
        /stream. The first of these that the number's settings ask for."""
        response = ET.Element("Response")
        if is_ticked(answer, "reject"):
            ET.SubElement(response, "Reject")
        elif target := transfer_target(answer):
            dial = ET.SubElement(response, "Dial")
            noun = ET.SubElement(dial, "Sip" if is_sip_address(target) else "Number")
            noun.text = xml_text(target)
        elif address := self._connect_address(answer):
            kind = "Stream" if address.endswith("#stream") else "ConversationRelay"
            connect = ET.SubElement(response, "Connect")
            attributes = {"url": address.partition("#")[0]}
            if kind == "ConversationRelay":
                attributes |= chosen(
                    answer, welcomeGreeting="first_message", language="language", voice="voice"
                )
            known = {name: xml_text(text) for name, text in attributes.items()}
            agent = ET.SubElement(connect, kind, known)
            for name, value in answer.variables.items():
                known = {"name": xml_text(name), "value": xml_text(value)}
                ET.SubElement(agent, "Parameter", known)
        return xml_response(response)

    def acknowledgement(self) -> Response:
        return xml_response(ET.Element("Response"))

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        call = {
            "CallSid": "CA00000000000000000000000000000000",
            "AccountSid": "AC00000000000000000000000000000000",
            "From": from_number,
            "To": to_number,
            "CallStatus": "ringing",
            "ApiVersion": "2010-04-01",
            "Direction": "inbound",
        }
        return urlencode(call).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        return {"X-Twilio-Signature": _signature(address, form_pairs(body), secret, "sha1")}

    @classmethod
    def sandbox_variables(cls) -> dict[str, str]:
        return {**super().sandbox_variables(), "TWILIO_CONNECT_URL": "wss://agent.example/ws"}

    def _connect_address(self, answer: Answer) -> str:
        """The agent's address; "" if none is set: then the call is not taken."""
        own = answer.settings.get("twilio_connect_url", "")
        if own.startswith("wss://"):
            return own
        if own:
            logger.warning("The twilio_connect_url of %s does not start with wss://", answer.number)
        if not self._default_connect_url:
            logger.warning("No agent for %s: TWILIO_CONNECT_URL is not set", answer.number)
        return self._default_connect_url


def _signature(address: str, fields: Sequence[tuple[str, str]], secret: str, algorithm: str) -> str:
    signed = address + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(secret.encode(), signed.encode(), algorithm)).decode()
