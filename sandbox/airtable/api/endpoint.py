"""Connects a route to its function: makes a call of the request and a response of the result."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from sandbox.airtable.api.request import ApiRequest
from sandbox.airtable.api.state import State
from sandbox.airtable.common.errors import AirtableError
from sandbox.airtable.common.responses import JsonResponse, error_response
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.tables import Table
from sandbox.airtable.data.transactions import PUBLIC_API


@dataclass
class Call:
    """What a route's function gets."""

    state: State
    request: ApiRequest
    path: dict[str, str]
    """The variable parts of the path, decoded."""

    @property
    def base(self) -> Base:
        return self.state.base(self.path["base"])

    @property
    def table(self) -> Table:
        return self.state.table(self.path["base"], self.path["table"])


def endpoint(
    state: State, handle: Callable[[Call], Any], scope: str = ""
) -> Callable[[Request], Awaitable[Response]]:
    """The token needs the scope and, if the path names a base, access to that base."""

    async def respond(request: Request) -> Response:
        path = {name: unquote(value) for name, value in request.path_params.items()}
        call = Call(state, request.scope["sandbox.request"], path)
        try:
            if scope:
                call.request.token.require(scope, path.get("base", ""))
            result = _handle(call, handle)
        except AirtableError as error:
            return error_response(error)
        return Response() if result is None else JsonResponse(result)

    return respond


def _handle(call: Call, handle: Callable[[Call], Any]) -> Any:
    """A request to a base is one transaction."""
    if "base" not in call.path:
        return handle(call)
    with call.base.transaction(PUBLIC_API):
        return handle(call)
