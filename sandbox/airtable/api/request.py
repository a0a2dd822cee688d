"""An API request, read once for the limits, the faults and the route."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope

from sandbox.airtable.api import parameters
from sandbox.airtable.common.access import Token
from sandbox.airtable.common.errors import AirtableError, body_not_json, body_too_large

MAX_BODY_BYTES = 4 * 1024 * 1024


@dataclass
class ApiRequest:
    method: str
    segments: list[str]
    """The parts of the path, each decoded: a table's name may contain a slash."""
    query: bytes
    url_length: int
    authorization: str
    body: bytes
    token: Token = field(default_factory=lambda: Token(""))

    @classmethod
    async def read(cls, scope: Scope, receive: Receive) -> "ApiRequest":
        """Raises AirtableError (413) if the body is too large."""
        raw_path: bytes = scope["raw_path"]
        headers = HTTPConnection(scope).headers
        return cls(
            scope["method"],
            [unquote(segment) for segment in raw_path.decode("latin-1").strip("/").split("/")],
            scope["query_string"],
            len(f"http://{headers.get('host', '')}") + len(_target(scope)),
            headers.get("authorization", ""),
            await _read_body(receive),
        )

    @property
    def path(self) -> str:
        return "/" + "/".join(self.segments)

    @property
    def is_meta(self) -> bool:
        return self.segments[1:2] == ["meta"]

    @property
    def base_id(self) -> str:
        """The base whose rate limit applies, or "" if the path names none."""
        candidates = self.segments[3:4] if self.is_meta else self.segments[1:2]
        if candidates == ["bases"]:
            candidates = self.segments[2:3]
        return candidates[0] if candidates and candidates[0].startswith("app") else ""

    @property
    def table(self) -> str:
        if self.is_meta or self.segments[1:2] == ["bases"]:
            return ""
        return self.segments[2] if len(self.segments) > 2 else ""

    @property
    def lists_records(self) -> bool:
        if self.method == "POST":
            return len(self.segments) == 4 and self.segments[3] == "listRecords"
        return self.method == "GET" and len(self.segments) == 3 and bool(self.table)

    @property
    def offset(self) -> str:
        """The offset of a list request, or "" if there is none or the body is not readable."""
        try:
            return str(self.parameters.get("offset") or "")
        except AirtableError:
            return ""

    @cached_property
    def json(self) -> dict[str, Any]:
        """Raises AirtableError (400) if the body is not a JSON object."""
        try:
            parsed = json.loads(self.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise body_not_json() from error
        if not isinstance(parsed, dict):
            raise body_not_json()
        return parsed

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """From the query and, in a POST, from the body."""
        return parameters.from_query(self.query) | (self.json if self.method == "POST" else {})


def _target(scope: Scope) -> bytes:
    query: bytes = scope["query_string"]
    return b"?".join([scope["raw_path"], *([query] if query else [])])


async def _read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise body_too_large()
        if not message.get("more_body", False):
            return body
