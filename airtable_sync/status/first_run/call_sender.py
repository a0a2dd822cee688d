"""A call as a platform sends it, to this deployment's own address. `webhooks`, which knows the
platforms, provides it (`AirtableSyncConfig.call_sender`)."""

import os
from dataclasses import dataclass
from typing import Any, Protocol


def own_address(settings: Any) -> str:
    """The public one, as a platform would use it; without it, this machine's. `settings` are
    Django's."""
    return settings.PUBLIC_URL or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"


class CallNotSent(Exception):
    """The call can't be sent, or was not answered. The message says why."""


@dataclass(frozen=True)
class SentCall:
    """Without the headers, which have the secret or the signature."""

    address: str
    request: str
    status: int
    response: str
    seconds: float
    source: str
    timing: str
    follow_up: str = ""  # what became of the request that follows, where a platform needs one


class CallSender(Protocol):
    def send(self, platform: str, number: str, url: str) -> SentCall:
        """Raises CallNotSent."""
        ...


class NoCallSender:
    def send(self, platform: str, number: str, url: str) -> SentCall:
        del platform, number, url
        raise CallNotSent("There are no platforms.")
