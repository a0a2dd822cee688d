"""Our own request format, signed by Standard Webhooks: https://www.standardwebhooks.com

The request is `{"to_number": …}`, the response has the config. Use it for platforms that can send a
request that you describe, such as Bland's `dynamic_data`."""

import json

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import bearer_token, is_one_of
from webhooks.platforms.base import ANONYMOUS, Call
from webhooks.platforms.parsing import json_object, member, optional_text
from webhooks.platforms.standard_webhooks import StandardWebhooks
from webhooks.platforms.variable_names import PATH_RULE


class Standard(StandardWebhooks):
    name = "standard"
    secrets_setting = "STANDARD_WEBHOOK_SECRET"
    signing_setting = secrets_setting
    deadline_seconds = 1.7  # Bland's default limit is 2
    name_rule = PATH_RULE

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """A signature by the specification, or the secret itself from clients that can't sign."""
        has_secret = is_one_of(bearer_token(request), self.secrets)
        return has_secret or super().is_authentic(request, body)

    def parse_call(self, body: bytes) -> Call:
        call = json_object(body)
        to_number = member(call, "to_number", str, "to_number")
        return Call(to_number, from_number=optional_text(call, "from_number"))

    def response(self, call: Call, answer: Answer) -> Response:
        return json_response(
            {
                "to_number": answer.number or call.to_number,
                "known": answer.is_known,
                "variables": answer.variables,
            }
        )

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        return json.dumps({"to_number": to_number, "from_number": from_number}).encode()
