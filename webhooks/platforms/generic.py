"""For everything that has no signature of its own: tools that send a request which you describe
(AssemblyAI's pre-connect requests, Bland's `dynamic_data`, n8n, Make, Zapier), and agents that
fetch their context themselves (LiveKit, Pipecat)."""

import json
from collections.abc import Mapping
from typing import Any

from airtable_sync.lookup.answer import Answer
from airtable_sync.mapping.settings import SETTINGS
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import bearer_token, is_one_of
from webhooks.platforms.base import ANONYMOUS, Call, MalformedCall, Platform
from webhooks.platforms.number_settings import is_ticked
from webhooks.platforms.parsing import fields_of, optional_text, query_pairs
from webhooks.platforms.variable_names import PATH_RULE

TO_NAMES = ("to", "to_number", "called_number", "dialed_number", "To")
FROM_NAMES = ("from", "from_number", "caller_number", "caller_id", "From")
FLAT = "flat"  # the kind of a call whose answer is the variables alone


class Generic(Platform):
    name = "generic"
    secrets_setting = "GENERIC_WEBHOOK_SECRET"
    signing_setting = secrets_setting
    methods = ("GET", "POST")
    deadline_seconds = 0.7  # AssemblyAI's limit is 0.8
    name_rule = PATH_RULE
    used_settings = frozenset(SETTINGS)  # all of them are in the answer

    def is_authentic(self, request: Request, body: bytes) -> bool:
        return is_one_of(bearer_token(request), self.secrets)

    def parse_request(self, request: Request, body: bytes) -> Call:
        """The number may be in the query, in a JSON object or in a form."""
        query = dict(query_pairs(request.query))
        kind = FLAT if query.get("flat") == "1" else ""
        return _call({**query, **_content(body)}, kind)

    def parse_call(self, body: bytes) -> Call:
        return _call(_content(body), "")

    def response(self, call: Call, answer: Answer) -> Response:
        if call.kind == FLAT:
            return json_response(answer.variables)
        content: dict[str, Any] = {
            "to_number": answer.number or call.to_number,
            "known": answer.is_known,
            "variables": answer.variables,
            "settings": answer.settings,
        }
        if is_ticked(answer, "reject"):
            content["reject"] = True
        if greeting := answer.settings.get("first_message"):
            content["greeting"] = greeting
        return json_response(content)

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        return json.dumps({"to": to_number, "from": from_number}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret}"}


def _call(fields: Mapping[str, Any], kind: str) -> Call:
    """Raises MalformedCall."""
    given = [fields[name] for name in TO_NAMES if name in fields]
    if not given:
        raise MalformedCall(f"The called number is missing: send it as {TO_NAMES[0]}.")
    if not isinstance(given[0], str):
        raise MalformedCall(f"{TO_NAMES[0]} must be a string.")
    callers = (optional_text(fields, name) for name in FROM_NAMES)
    return Call(given[0], kind, from_number=next(filter(None, callers), ""))


def _content(body: bytes) -> Mapping[str, Any]:
    """Raises MalformedCall."""
    return fields_of(body) if body.strip() else {}
