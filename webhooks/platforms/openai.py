"""OpenAI's Realtime API over SIP: https://developers.openai.com/api/docs/guides/realtime-sip

The webhook only announces a call. A follow-up request accepts or rejects it. The newer Live API
(https://developers.openai.com/api/reference/resources/live/subresources/sessions/methods/accept)
works in the same way, with its own event, address and session."""

import json
import logging
import re
import secrets as random_secrets
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.base import (
    ANONYMOUS,
    Call,
    FollowUp,
    MalformedCall,
    NotACall,
    Secrets,
)
from webhooks.platforms.number_settings import is_ticked, without_empty
from webhooks.platforms.parsing import json_object, member
from webhooks.platforms.sip_headers import SipHeaders
from webhooks.platforms.standard_webhooks import ID_HEADER, StandardWebhooks

logger = logging.getLogger(__name__)

DECLINE = 603  # OpenAI's own choice for a rejected call; the Live API wants it to be named
DEFAULT_INSTRUCTIONS = "You answer a telephone call. What you know about this call:"
# Visible characters, and not only dots: they would change the address.
_CALL_ID = re.compile(r"(?!\.+$)[!-~]{1,100}")
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]{1,200}?)\s*\}\}")
_PROJECT = "the project that the SIP trunk points to"
_REMEDIES: dict[int | str, str] = {
    400: "Check the model, voice, agent_id and instructions of the number.",
    401: f"Set OPENAI_API_KEY to a key of {_PROJECT}.",
    403: f"Give OPENAI_API_KEY the right to the Realtime API in {_PROJECT}.",
    404: f"The caller has hung up, or OPENAI_API_KEY is not a key of {_PROJECT}.",
    # https://developers.openai.com/api/docs/guides/voice-sip: the first accept or reject counts.
    "decision_already_made": "Something else has accepted or rejected the call. Subscribe this "
    "webhook to one of OpenAI's events for calls, and no other service to any of them.",
}


@dataclass(frozen=True, slots=True)
class _Api:
    """One of OpenAI's two APIs for calls."""

    id_name: str  # of the call, in the event
    path: str
    session_type: str
    default_model: str


# https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
_REALTIME = _Api("call_id", "/v1/realtime/calls", "realtime", "gpt-realtime")
_LIVE = _Api("session_id", "/v1/live/sessions", "live", "gpt-live-1")
# openai-python, types/webhooks: realtime_call_incoming_webhook_event.py and so on
_API_BY_EVENT = {
    "realtime.call.incoming": _REALTIME,
    "live.transport.incoming": _LIVE,
    "live.call.incoming": _LIVE,  # its older name
}


class OpenAI(StandardWebhooks):
    """Its signature: https://developers.openai.com/api/docs/guides/webhooks"""

    name = "openai"
    secrets_setting = "OPENAI_WEBHOOK_SECRET"
    signing_setting = secrets_setting
    # OpenAI wants its 200 "within a few seconds", and the caller hears it ring until the accept.
    deadline_seconds = 3.0
    follow_up_seconds = 5.0
    used_settings = frozenset(
        {"agent_id", "agent_version", "model", "voice", "instructions", "reject"}
    )

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._api_key = Secrets([settings.OPENAI_API_KEY or ""])
        self._api_url = (settings.OPENAI_API_URL or "").rstrip("/")

    def parse_request(self, request: Request, body: bytes) -> Call:
        event_id = request.headers.get(ID_HEADER, "")
        return self.parse_call(body)._replace(event_id=event_id)

    def parse_call(self, body: bytes) -> Call:
        event = json_object(body)
        kind = member(event, "type", str, "type")
        api = _API_BY_EVENT.get(kind)
        if not api:
            raise NotACall(kind)
        data = member(event, "data", dict, "data")
        if data.get("type", "sip") != "sip":
            raise NotACall(kind)
        call_id = member(data, api.id_name, str, f"data.{api.id_name}")
        if not _CALL_ID.fullmatch(call_id):
            raise MalformedCall(f"data.{api.id_name} is not the id of a call.")
        headers = SipHeaders(data.get("sip_headers"), "data.sip_headers")
        return Call(headers.called_number, kind, call_id, headers.caller)

    def response(self, call: Call, answer: Answer) -> Response:
        """OpenAI only reads the status. The body is for people: what is sent to OpenAI."""
        action, content = _decision(call, answer)
        return json_response({action: content})

    def follow_up(self, call: Call, answer: Answer) -> FollowUp:
        action, content = _decision(call, answer)
        call_id = quote(call.call_id, safe="")
        return FollowUp(
            key=f"{self.name}:{call.event_id}",
            recipient="OpenAI",
            purpose=f"{action} the call {call_id}",
            url=f"{self._api_url}{_API_BY_EVENT[call.kind].path}/{call_id}/{action}",
            content=content,
            token=self._api_key[0],
            token_setting="OPENAI_API_KEY",  # noqa: S106 - a name
            remedies=_REMEDIES,
        )

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        headers = {"From": from_number, "To": to_number}
        addresses = {name: f"<sip:{each}@sip.example.com>" for name, each in headers.items()}
        event = {
            "object": "event",
            "id": f"evt_sandbox_{random_secrets.randbits(64)}",
            "type": "realtime.call.incoming",
            "created_at": int(time.time()),
            "data": {
                "call_id": f"rtc_sandbox_{random_secrets.randbits(64)}",
                "sip_headers": [{"name": name, "value": each} for name, each in addresses.items()],
            },
        }
        return json.dumps(event).encode()


def _decision(call: Call, answer: Answer) -> tuple[str, dict[str, Any]]:
    """The last part of the address, and the body."""
    if is_ticked(answer, "reject"):
        return "reject", {"status_code": DECLINE}
    api = _API_BY_EVENT[call.kind]
    session = _session(api, answer)
    return "accept", session if api is _REALTIME else {"session": session}


def _session(api: _Api, answer: Answer) -> dict[str, Any]:
    """Instructions come before a stored prompt, which OpenAI is about to end
    (https://developers.openai.com/api/docs/deprecations) and the Live API does not have."""
    settings = answer.settings
    session: dict[str, Any] = {
        "type": api.session_type,
        "model": settings.get("model") or api.default_model,
    }
    if voice := settings.get("voice"):
        custom = voice.startswith("voice_")  # the id of a voice of one's own
        session["audio"] = {"output": {"voice": {"id": voice} if custom else voice}}
    if text := settings.get("instructions"):
        session["instructions"] = _filled_in(text, answer)
    elif prompt := _stored_prompt(api, answer):
        session["prompt"] = prompt
    elif lines := [f"- {name}: {value}" for name, value in answer.variables.items() if value]:
        session["instructions"] = "\n".join([DEFAULT_INSTRUCTIONS, *lines])
    return session


def _stored_prompt(api: _Api, answer: Answer) -> dict[str, Any]:
    prompt_id = answer.settings.get("agent_id", "")
    if not prompt_id or api is not _REALTIME:
        return {}
    version = answer.settings.get("agent_version", "")
    return without_empty({"id": prompt_id, "version": version, "variables": dict(answer.variables)})


def _filled_in(text: str, answer: Answer) -> str:
    """`{{name}}` becomes the variable's value, once: a value is not searched for other names."""
    missing = sorted(set(_PLACEHOLDER.findall(text)) - set(answer.variables))
    if missing:
        _warn_about_missing(answer.number, tuple(missing))
    return _PLACEHOLDER.sub(lambda found: answer.variables.get(found[1], ""), text)


@lru_cache(maxsize=1000)  # once per process
def _warn_about_missing(number: str | None, names: tuple[str, ...]) -> None:
    logger.warning(
        "The instructions of %s name variables that it does not have: %s", number, ", ".join(names)
    )
