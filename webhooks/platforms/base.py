"""What a platform is: how it proves a call authentic, where it puts the called number, and how it
wants the answer. One file each; a platform that is not registered in `__init__` does not exist."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.http import HttpRequest, HttpResponse

from airtable_sync.answers import Answer

LONGEST_CALL_ID = 100


class MalformedCall(ValueError):
    """The body is not what the platform sends. The message says what is wrong, in one sentence."""


class NotACall(Exception):
    """An event of another kind, which is acknowledged and does nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """`to_number` is the called number as the platform wrote it; `kind` is what the platform calls
    the event, for platforms that answer different ones in different envelopes; `call_id` the
    platform's own name for the call, where it tells one."""

    to_number: str
    kind: str
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class SentCall:
    """A request as the platform would send it."""

    headers: Mapping[str, str]
    body: bytes


class Platform(Protocol):
    name: str
    secrets_setting: str  # the setting with the secrets that are accepted; none: 404
    deadline_seconds: float  # the platform's own, with a margin for the way there and back

    def is_authentic(self, request: HttpRequest, body: bytes, secrets: Sequence[str]) -> bool: ...

    def call_in(self, body: bytes) -> Call:
        """Raises MalformedCall and NotACall."""
        ...

    def response(self, call: Call, answer: Answer) -> HttpResponse: ...

    def place(self, to_number: str, secret: str) -> SentCall:
        """The same call from the platform's side, signed: for trying things out."""
        ...


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises MalformedCall."""
    try:
        value = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise MalformedCall("The body is not UTF-8.") from None
    except RecursionError:
        raise MalformedCall("The body is nested too deeply.") from None
    except ValueError:
        raise MalformedCall("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise MalformedCall("The body is not a JSON object.")
    return value


def member(container: dict[str, Any], name: str, kind: type, path: str) -> Any:
    """A member that has to be there, of a type. Raises MalformedCall."""
    if name not in container:
        raise MalformedCall(f"{path} is missing.")
    if not isinstance(container[name], kind):
        raise MalformedCall(f"{path} must be {'a string' if kind is str else 'an object'}.")
    return container[name]


def call_id_in(container: dict[str, Any], name: str) -> str:
    """The platform's name for the call; empty where there is none that makes sense. A call is never
    refused for it."""
    value = container.get(name)
    return value if isinstance(value, str) and len(value) <= LONGEST_CALL_ID else ""
