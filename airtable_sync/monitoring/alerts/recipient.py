"""One address of ALERT_URLS, as a service of Apprise: https://appriseit.com/services/"""

import re
from collections.abc import Iterable

# Apprise has no field for the status. Its sentences end with it: "…, error=503."
_STATUS = re.compile(r"\berror=(\d{3})\b")
# Apprise catches a service's exception, and says only so.
_EXCEPTION = "raised an exception"
UNEXPECTED = "an unexpected error; check the address for characters that are not ASCII"
_LONGEST_SUBJECT = 120


class Recipient:
    """An address is a secret. Messages show `position` and `name` instead."""

    def __init__(self, position: int, url: str) -> None:
        """Raises ValueError if Apprise can't use the address."""
        from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - a second, 50 MB

        asset = AppriseAsset(
            service_timeout=0,  # AlertSender has a limit; Apprise's needs a thread pool
            async_mode=False,
            http_redirects=False,
            storage_mode="memory",
        )
        service = Apprise.instantiate(url, asset=asset)
        if service is None:
            raise ValueError("Apprise can't use this address.")
        self.position = position
        self.name = str(service.service_name)
        self._is_email = url.lower().startswith("mailto")
        self._apprise = Apprise(service, asset=asset)

    def send(self, sender: str, sentence: str) -> str:
        """Returns why it failed, or an empty text. It may wait for the service without limit.

        May raise any exception. Its text may have parts of the address."""
        title = _subject(sender, sentence) if self._is_email else sender
        result = self._apprise.notify(body=sentence, title=title, body_format="text")
        return "" if result else _failure(entry.message for entry in result.logs())


def _subject(sender: str, sentence: str) -> str:
    """An e-mail is listed by its subject, so the subject has the sentence, too."""
    first_line = sentence.partition("\n")[0]
    return f"{sender}: {first_line}"[:_LONGEST_SUBJECT]


def _failure(messages: Iterable[str]) -> str:
    """Apprise's messages may hold parts of the address, so they are not passed on."""
    text = "\n".join(messages)
    if status := _STATUS.search(text):
        return f"it answered {status[1]}"
    if "connection error" in text.lower():
        return "the connection or the login failed"
    return UNEXPECTED if _EXCEPTION in text else "it did not accept the message"
