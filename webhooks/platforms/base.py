"""What a platform is: how it proves a call authentic, where it puts the called number, and how it
wants the answer. One file each; a platform that is not registered in `__init__` does not exist."""

import json
import logging
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from django.conf import settings

from airtable_sync.lookup.answerer import Answer
from siftly.constant import constant
from siftly.server.http import Request, Response, json_response

logger = logging.getLogger(__name__)

LONGEST_CALL_ID = 100


class MalformedCall(ValueError):
    """The body is not what the platform sends. The message says what is wrong, in one sentence."""


class NotACall(Exception):
    """An event of another kind, which is acknowledged and does nothing."""


class Call(NamedTuple):
    """`to_number` is the called number as the platform wrote it; `kind` is what the platform calls
    the event, for platforms that answer different ones in different envelopes; `call_id` the
    platform's own name for the call, where it tells one."""

    to_number: str
    kind: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class SentCall:
    """A request as the platform would send it."""

    headers: Mapping[str, str]
    body: bytes


class Platform(ABC):
    name: ClassVar[str]
    secrets_setting: ClassVar[str]  # the setting with the secrets that are accepted; none: 404
    deadline_seconds: ClassVar[
        float
    ]  # the platform's own, with a margin for the way there and back
    content_type: ClassVar[str] = "application/json"
    reserved: ClassVar[re.Pattern[str] | None] = None  # names of variables that are its own

    def __init__(self) -> None:
        self.secrets = constant(self._secrets)

    def _secrets(self) -> Sequence[str]:
        """What is accepted as proof; empty where the platform is not set up."""
        return tuple(getattr(settings, self.secrets_setting))

    @property
    def signing_setting(self) -> str:
        """The setting with what `place` signs with."""
        return self.secrets_setting

    @abstractmethod
    def is_authentic(self, request: Request, body: bytes, secrets: Sequence[str]) -> bool:
        """Whether one of the secrets proves the raw body to be the platform's. Never raises."""

    @abstractmethod
    def call_in(self, body: bytes) -> Call:
        """Raises MalformedCall and NotACall."""

    @abstractmethod
    def response(self, call: Call, answer: Answer) -> Response: ...

    @abstractmethod
    def body(self, to_number: str) -> bytes:
        """What the platform sends when this number rings: for trying things out."""

    @abstractmethod
    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        """The headers that prove a body to be the platform's. `address` is where it is sent to."""

    def place(self, to_number: str, secret: str, address: str) -> SentCall:
        """A call from the platform's side."""
        body = self.body(to_number)
        headers = {"Content-Type": self.content_type, **self.sign(body, secret, address)}
        return SentCall(headers, body)

    def acknowledgement(self) -> Response:
        """What the platform gets for an event that is no call."""
        return json_response({})

    def problem_with(self, secret: str) -> str:
        """What makes a secret useless, in one sentence; empty if nothing does."""
        usable = secret.isascii() and secret.isprintable() and " " not in secret
        return "" if usable else "Not a secret: it holds a space or a letter that no secret has."

    def stand_in(self) -> dict[str, str]:
        """Variables that set the platform up with a made-up secret, for `make run` and tests."""
        return {self.secrets_setting: secrets.token_hex(16)}

    def permitted(self, answer: Answer) -> Answer:
        """The answer without the variables whose names are the platform's own."""
        if not self.reserved:
            return answer
        taken = tuple(name for name in answer.variables if self.reserved.match(name))
        if not taken:
            return answer
        records = answer.entry.records if answer.known and answer.entry else ("DEFAULT_VARIABLES",)
        _warn_of_reserved(self.name, taken, records)
        kept = {name: value for name, value in answer.variables.items() if name not in taken}
        return replace(answer, variables=kept)


@lru_cache(maxsize=1000)  # once a process is enough: the next call of the number says the same
def _warn_of_reserved(platform: str, names: tuple[str, ...], records: tuple[str, ...]) -> None:
    logger.warning(
        "Not sent to %s, which keeps these names to itself: %s (from %s)",
        platform,
        ", ".join(names),
        ", ".join(records),
    )


_JSON = json.JSONDecoder()


def _loaded(text: str) -> Any:
    """As `json.loads`, which takes twice as long to look for white space around it."""
    if text.startswith("{"):
        value, end = _JSON.raw_decode(text)
        if end == len(text):
            return value
    return json.loads(text)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises MalformedCall."""
    try:
        value = _loaded(body.decode("utf-8"))
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
