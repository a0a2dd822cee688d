"""A voice platform: how it proves that a call is authentic, where the called number is, and how it
wants the answer."""

import logging
import re
import secrets as random_secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.variable_names import NameRule, placeholder_rule

logger = logging.getLogger(__name__)


ANONYMOUS = "anonymous"  # a caller who does not show the number


class MalformedCall(ValueError):
    """The body is not what the platform sends. The message says what is wrong."""


class NotACall(Exception):
    """An event of another kind. It is acknowledged and otherwise ignored."""


class Call(NamedTuple):
    """`to_number` is the called number as the platform wrote it. `kind` is the platform's name of
    the event, if it has several. `call_id` is the platform's id of the call, `from_number` the
    caller as the platform wrote it, `event_id` the platform's id of the event, which stays the same
    when it is sent again; each "" if there is none."""

    to_number: str
    kind: str = ""
    call_id: str = ""
    from_number: str = ""
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A request as the platform would send it."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A request that a platform needs beside the response to its webhook. `content` is sent as
    JSON to `url`, once for each `key`."""

    key: str
    recipient: str  # OpenAI
    purpose: str  # accept the call rtc_1: for the log
    url: str
    content: Mapping[str, Any] = field(repr=False)
    token: str = field(repr=False)
    token_setting: str  # the setting with the token
    # By status, or by the error's code, which comes first.
    remedies: Mapping[int | str, str] = field(default_factory=dict, repr=False)


class Secrets(tuple[str, ...]):
    """Not shown in logs and error pages."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


class Platform(ABC):
    name: ClassVar[str]
    secrets_setting: ClassVar[str]  # the setting with the accepted secrets
    signing_setting: ClassVar[str]  # the setting with what `outgoing_call` signs with
    # The platform's own time limit, minus a margin for the network.
    deadline_seconds: ClassVar[float]
    content_type: ClassVar[str] = "application/json"
    methods: ClassVar[tuple[str, ...]] = ("POST",)
    # How long a follow-up request may take, after the answer is known. 0: there are none.
    follow_up_seconds: ClassVar[float] = 0.0
    reserved: ClassVar[re.Pattern[str] | None] = None  # names of variables that are left out
    # Names of variables that the platform's agents can use.
    name_rule: ClassVar[NameRule] = placeholder_rule()
    used_settings: ClassVar[frozenset[str]] = frozenset()  # of a number, that answers use
    # How many variables, and how many characters of a value, the platform reads; None: no limit.
    max_variables: ClassVar[int | None] = None
    max_characters: ClassVar[int | None] = None

    def __init__(self, settings: Any) -> None:
        self.secrets = Secrets(getattr(settings, self.secrets_setting))

    @abstractmethod
    def is_authentic(self, request: Request, body: bytes) -> bool:
        """Whether one of the secrets proves that the body is the platform's. Never raises."""

    @abstractmethod
    def parse_call(self, body: bytes) -> Call:
        """Raises MalformedCall and NotACall."""

    def parse_request(self, request: Request, body: bytes) -> Call:
        """The same, for a platform that also uses the address or the headers."""
        return self.parse_call(body)

    @abstractmethod
    def response(self, call: Call, answer: Answer) -> Response: ...

    def follow_up(self, call: Call, answer: Answer) -> FollowUp | None:
        """What has to be sent to the platform beside the response, for `follow_up_seconds`."""
        return None

    @abstractmethod
    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        """What the platform sends when `from_number` calls this number."""

    @abstractmethod
    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        """The headers that prove that a body is the platform's. `address` is where it is sent."""

    def outgoing_call(
        self, to_number: str, secret: str, address: str, from_number: str = ANONYMOUS
    ) -> OutgoingCall:
        """A call as the platform sends it to `address`."""
        body = self.sample_body(to_number, from_number)
        headers = {"Content-Type": self.content_type, **self.sign(body, secret, address)}
        return OutgoingCall(headers, body)

    def acknowledgement(self) -> Response:
        """The response to an event that is not a call."""
        return json_response({})

    @staticmethod
    def secret_problem(secret: str) -> str:
        """What is wrong with a secret; "" if nothing is."""
        usable = secret.isascii() and secret.isprintable() and " " not in secret
        return "" if usable else "It has a space or a character that no secret has."

    @classmethod
    def sandbox_variables(cls) -> dict[str, str]:
        """Environment variables with a random secret, for `make run` and tests."""
        return {cls.secrets_setting: random_secrets.token_hex(16)}

    def can_use(self, name: str) -> bool:
        """Whether the platform's agents can use a variable of this name."""
        is_reserved = bool(self.reserved and self.reserved.match(name))
        return not is_reserved and self.name_rule.allows(name)

    def without_reserved(self, answer: Answer) -> Answer:
        """The answer without variables whose names the platform reserves."""
        if not self.reserved:
            return answer
        reserved = tuple(name for name in answer.variables if self.reserved.match(name))
        if not reserved:
            return answer
        records = (
            answer.entry.records if answer.is_known and answer.entry else ("DEFAULT_VARIABLES",)
        )
        _warn_about_reserved(self.name, reserved, records)
        kept = {name: value for name, value in answer.variables.items() if name not in reserved}
        return replace(answer, variables=kept)


@lru_cache(maxsize=1000)  # once per process: every call of the number has the same names
def _warn_about_reserved(platform: str, names: tuple[str, ...], records: tuple[str, ...]) -> None:
    logger.warning(
        "Not sent to %s, which reserves these names: %s (from %s)",
        platform,
        ", ".join(names),
        ", ".join(records),
    )
