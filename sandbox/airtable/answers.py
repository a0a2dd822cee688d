"""Responses with Airtable's headers."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from sandbox.airtable.errors import AirtableError


class JsonAnswer(Response):
    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def error_answer(error: AirtableError, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    return JsonAnswer(error.body, error.status, headers)
