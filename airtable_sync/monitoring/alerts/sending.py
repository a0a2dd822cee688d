"""Sends alerts to the addresses of ALERT_URLS, and tries again those that failed."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from airtable_sync.monitoring.alerts.messages import clean_text
from airtable_sync.monitoring.alerts.recipient import UNEXPECTED, Recipient

logger = logging.getLogger(__name__)

ATTEMPTS = 60  # one a minute
TIME_LIMIT_SECONDS = 20.0
OUTBOX_SIZE = 100


def service_name(public_url: str | None, allowed_hosts: Sequence[str]) -> str:
    """`Siftly (siftly.example.com)`: an operator may run several."""
    host = urlsplit(public_url or "").hostname or next(iter(allowed_hosts), "")
    return f"Siftly ({host})"


@dataclass(frozen=True)
class Delivery:
    """How one attempt ended. `failure` is empty if the alert was sent."""

    recipient: Recipient
    failure: str


@dataclass
class _Message:
    sentence: str
    recipients: list[Recipient]  # those that do not have it yet
    attempts: int = 0

    @property
    def is_done(self) -> bool:
        return not self.recipients or self.attempts >= ATTEMPTS


class AlertSender:
    """Not thread-safe: one thread fills the outbox and sends it."""

    def __init__(
        self, urls: Sequence[str], service_name: str, time_limit: float = TIME_LIMIT_SECONDS
    ) -> None:
        """Raises ValueError if Apprise can't use an address. Checks report that before."""
        self._recipients = [Recipient(position, url) for position, url in enumerate(urls, start=1)]
        self._service_name = clean_text(service_name)
        self._time_limit = time_limit
        self._outbox: deque[_Message] = deque()

    def enqueue(self, sentence: str) -> None:
        """Puts an alert into the outbox. `send_outbox` sends it."""
        sentence = clean_text(sentence)
        logger.warning("Alert: %s", _first_line(sentence))
        self._outbox.append(_Message(sentence, list(self._recipients)))
        if len(self._outbox) > OUTBOX_SIZE:
            dropped = self._outbox.popleft()
            logger.warning(
                "Alert dropped: too many are not sent yet: %s", _first_line(dropped.sentence)
            )

    def send_outbox(self) -> None:
        """Tries each alert in the outbox once. Call it every minute."""
        for message in self._outbox:
            self._send(message)
        self._outbox = deque(message for message in self._outbox if not message.is_done)

    def send_now(self, sentence: str) -> list[Delivery]:
        """Tries all addresses once, without the outbox."""
        return self._deliver(clean_text(sentence), self._recipients)

    def _send(self, message: _Message) -> None:
        deliveries = self._deliver(message.sentence, message.recipients)
        failed = [delivery for delivery in deliveries if delivery.failure]
        for delivery in failed:
            _log_failure(delivery)
        message.recipients = [delivery.recipient for delivery in failed]
        message.attempts += 1
        if failed and message.is_done:
            sentence = _first_line(message.sentence)
            logger.error("Alert dropped after %d attempts: %s", message.attempts, sentence)

    def _deliver(self, sentence: str, recipients: Sequence[Recipient]) -> list[Delivery]:
        """Sends to all at the same time, so that a slow service does not delay the others."""
        deadline = time.monotonic() + self._time_limit
        attempts = [_Attempt(recipient, self._service_name, sentence) for recipient in recipients]
        return [attempt.result(deadline) for attempt in attempts]


class _Attempt:
    """Apprise can't be interrupted. After the deadline the thread is abandoned; as a daemon it does
    not keep the process from ending."""

    def __init__(self, recipient: Recipient, sender: str, sentence: str) -> None:
        self._recipient = recipient
        self._failure = UNEXPECTED  # until the thread knows better
        self._thread = threading.Thread(
            target=self._send, args=(sender, sentence), name="alert", daemon=True
        )
        with suppress(RuntimeError):  # the process may have no more threads
            self._thread.start()

    def _send(self, sender: str, sentence: str) -> None:
        try:
            self._failure = self._recipient.send(sender, sentence)
        except Exception:  # noqa: BLE001 - its message and its traceback may have the address
            self._failure = UNEXPECTED

    def result(self, deadline: float) -> Delivery:
        """Waits until the deadline, by `time.monotonic`."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))
        failure = "it took too long" if self._thread.is_alive() else self._failure
        return Delivery(self._recipient, failure)


def _first_line(sentence: str) -> str:
    """What happened, for one line of the log; the others say what to do."""
    return sentence.partition("\n")[0]


def _log_failure(delivery: Delivery) -> None:
    logger.warning(
        "Alert not sent to address %d of ALERT_URLS (%s): %s",
        delivery.recipient.position,
        delivery.recipient.name,
        delivery.failure,
    )
