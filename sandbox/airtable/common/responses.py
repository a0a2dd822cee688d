"""JSON responses with Airtable's headers."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from sandbox.airtable.common.errors import AirtableError


class JsonResponse(Response):
    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def error_response(error: AirtableError, headers: Mapping[str, str] | None = None) -> JsonResponse:
    return JsonResponse(error.body, error.status, headers)
