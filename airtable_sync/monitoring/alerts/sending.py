"""Says it, by e-mail and to a webhook address. A message that does not arrive is tried again in the
next rounds, for an hour; nothing waits for long."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from smtplib import SMTPException
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.mail import send_mail

logger = logging.getLogger(__name__)

TRIES = 60  # a round is a minute
SECONDS = 20.0  # for one message, whatever the other side does
TIMEOUTS = (3.0, 10.0)


class Undelivered(Exception):
    """The message says why, and holds no address: a webhook's is a secret."""


def by_email(text: str) -> None:
    """Raises Undelivered."""
    subject = text.partition("\n")[0][:120]
    try:
        send_mail(subject, text, None, settings.ALERT_EMAIL)
    except (SMTPException, OSError) as error:
        raise Undelivered(type(error).__name__) from error


def by_webhook(text: str) -> None:
    """As Slack, Mattermost and others take it. Raises Undelivered."""
    url = settings.ALERT_WEBHOOK_URL or ""
    try:
        with requests.post(
            url, json={"text": text}, timeout=TIMEOUTS, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        raise Undelivered(type(error).__name__) from error
    if not 200 <= status < 300:
        raise Undelivered(f"it answered {status}")


Channel = Callable[[str], None]


def channels() -> dict[str, Channel]:
    """Those that are set up."""
    found: dict[str, Channel] = {}
    if settings.ALERT_EMAIL:
        found["e-mail"] = by_email
    if settings.ALERT_WEBHOOK_URL:
        found["webhook"] = by_webhook
    return found


def within_limits(channel: Channel, text: str) -> None:
    """Raises Undelivered, also when it takes too long: then the thread is left to itself."""
    failures: list[Undelivered] = []

    def work() -> None:
        try:
            channel(text)
        except Undelivered as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="alert", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        raise Undelivered("it took too long")
    if failures:
        raise failures[0]


def named(sentence: str) -> str:
    """With the name of the service, for who looks after several."""
    host = urlsplit(settings.PUBLIC_URL or "").hostname or next(iter(settings.ALLOWED_HOSTS), "")
    return f"Siftly ({host}): {sentence}"


@dataclass
class _Waiting:
    channel: str
    text: str
    tries: int = 0


class Outbox:
    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def put(self, sentence: str) -> None:
        logger.warning("Alert: %s", sentence)
        self._waiting += [_Waiting(channel, named(sentence)) for channel in channels()]

    def send(self) -> None:
        """Everything that waits, once."""
        self._waiting = [each for each in self._waiting if not self._is_done(each)]

    def _is_done(self, message: _Waiting) -> bool:
        try:
            within_limits(channels()[message.channel], message.text)
        except Undelivered as error:
            message.tries += 1
            logger.warning("An alert could not be sent by %s: %s", message.channel, error)
            return message.tries >= TRIES
        return True
