"""Plivo's answer URL: https://www.plivo.com/docs/voice/concepts/callbacks

The answer connects the call to an agent as a bidirectional audio stream."""

import base64
import hmac
import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response
from webhooks.platforms.authentication import is_one_of
from webhooks.platforms.base import ANONYMOUS, Call, MalformedCall, NotACall, Platform
from webhooks.platforms.number_settings import is_sip_address, is_ticked, transfer_target
from webhooks.platforms.parsing import form_pairs, optional_text, query_pairs
from webhooks.platforms.signed_address import possible_addresses
from webhooks.platforms.variable_names import NameRule
from webhooks.platforms.xml_response import xml_response, xml_text

logger = logging.getLogger(__name__)

MAX_SIGNATURES = 10
_ENDED = ("completed", "busy", "failed", "timeout", "no-answer", "cancel")
_SAMPLE_NONCE = "00000000000000000000"


class Plivo(Platform):
    name = "plivo"
    secrets_setting = "PLIVO_AUTH_TOKEN"
    signing_setting = secrets_setting
    deadline_seconds = 5.0  # Plivo does not document its limit
    content_type = "application/x-www-form-urlencoded"
    # Any name can be in a query.
    name_rule = NameRule("at least one character", re.compile(".+", re.DOTALL))
    used_settings = frozenset({"agent_id", "transfer_to", "reject"})

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._public_url = settings.GIVEN_PUBLIC_URL or ""
        self._connect_url = settings.PLIVO_CONNECT_URL or ""

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """`X-Plivo-Signature-V3`, one or several, over the address, the form's fields and a nonce.
        https://www.plivo.com/docs/voice/concepts/signature-validation"""
        nonce = request.headers.get("X-Plivo-Signature-V3-Nonce", "")
        given = request.headers.get("X-Plivo-Signature-V3", "").split(",", MAX_SIGNATURES)
        try:
            fields = form_pairs(body)
            signed = [
                _signed(address, fields, nonce)
                for address in possible_addresses(request, self._public_url)
            ]
        except MalformedCall:
            return False
        expected = [_signature(each, secret) for each in signed for secret in self.secrets]
        matches = [is_one_of(each.strip(), expected) for each in given]
        return bool(nonce) and any(matches)

    def parse_call(self, body: bytes) -> Call:
        fields = dict(form_pairs(body))
        if fields.get("CallStatus") in _ENDED:
            raise NotACall
        if "To" not in fields:
            raise MalformedCall("To is missing.")
        caller = _with_plus(optional_text(fields, "From"))
        return Call(_with_plus(fields["To"]), "", optional_text(fields, "CallUUID"), caller)

    def response(self, call: Call, answer: Answer) -> Response:
        response = ET.Element("Response")
        if is_ticked(answer, "reject"):
            ET.SubElement(response, "Hangup", {"reason": "rejected"})
        elif target := transfer_target(answer):
            dial = ET.SubElement(response, "Dial")
            noun = ET.SubElement(dial, "User" if is_sip_address(target) else "Number")
            noun.text = xml_text(target.removeprefix("+"))
        elif self._connect_url:
            known = {"bidirectional": "true", "keepCallAlive": "true"}
            stream = ET.SubElement(response, "Stream", known)
            stream.text = _with_query(self._connect_url, answer)
        else:
            logger.warning("No agent for %s: PLIVO_CONNECT_URL is not set", answer.number)
        return xml_response(response)

    def acknowledgement(self) -> Response:
        return xml_response(ET.Element("Response"))

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        call = {
            "CallUUID": "00000000-0000-0000-0000-000000000000",
            "From": from_number.removeprefix("+"),
            "To": to_number.removeprefix("+"),
            "CallStatus": "ringing",
            "Direction": "inbound",
            "Event": "StartApp",
        }
        return urlencode(call).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        signature = _signature(_signed(address, form_pairs(body), _SAMPLE_NONCE), secret)
        return {
            "X-Plivo-Signature-V3": signature,
            "X-Plivo-Signature-V3-Nonce": _SAMPLE_NONCE,
        }

    @classmethod
    def sandbox_variables(cls) -> dict[str, str]:
        return {**super().sandbox_variables(), "PLIVO_CONNECT_URL": "wss://agent.example/ws"}


def _with_plus(number: str) -> str:
    """Plivo writes numbers with their country code, and without a plus."""
    return f"+{number}" if number.isascii() and number.isdigit() else number


def _with_query(address: str, answer: Answer) -> str:
    """The variables in the address. Plivo's `extraHeaders` take only letters and digits."""
    agent = answer.settings.get("agent_id", "")
    values = {**answer.variables, **({"agent_id": agent} if agent else {})}
    query = urlencode(values, quote_via=quote, errors="replace")
    return f"{address}{'&' if '?' in address else '?'}{query}" if query else address


def _signed(address: str, fields: Sequence[tuple[str, str]], nonce: str) -> str:
    """Raises MalformedCall."""
    base, _, query = address.partition("?")
    ordered = "&".join(f"{name}={value}" for name, value in sorted(query_pairs(query)))
    if ordered or fields:
        base += f"?{ordered}"
    if ordered and fields:
        base += "."
    return f"{base}{''.join(name + value for name, value in sorted(fields))}.{nonce}"


def _signature(signed: str, secret: str) -> str:
    raw = signed.encode("utf-8", "replace")
    return base64.b64encode(hmac.digest(secret.encode(), raw, "sha256")).decode()
