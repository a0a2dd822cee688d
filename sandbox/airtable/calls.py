"""From an incoming request to a route's function, and from its result to an answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from sandbox.airtable.answers import JsonAnswer, error_answer
from sandbox.airtable.bases import Base, Table
from sandbox.airtable.errors import AirtableError
from sandbox.airtable.incoming import Incoming
from sandbox.airtable.journal import PUBLIC_API
from sandbox.airtable.state import State


@dataclass
class Call:
    state: State
    incoming: Incoming
    path: dict[str, str]

    @property
    def base(self) -> Base:
        return self.state.base(self.path["base"])

    @property
    def table(self) -> Table:
        return self.state.table(self.path["base"], self.path["table"])


def endpoint(
    state: State, answer: Callable[[Call], Any], scope: str = ""
) -> Callable[[Request], Awaitable[Response]]:
    """The token needs the scope, and the base where the path names one."""

    async def respond(request: Request) -> Response:
        path = {name: unquote(value) for name, value in request.path_params.items()}
        call = Call(state, request.scope["sandbox.incoming"], path)
        try:
            if scope:
                call.incoming.token.require(scope, path.get("base", ""))
            result = _locked(call, answer)
        except AirtableError as error:
            return error_answer(error)
        return Response() if result is None else JsonAnswer(result)

    return respond


def _locked(call: Call, answer: Callable[[Call], Any]) -> Any:
    if "base" not in call.path:
        return answer(call)
    with call.base.action(PUBLIC_API):
        return answer(call)
