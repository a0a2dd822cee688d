"""Runs Django's system checks when the server starts."""

import logging
import sys

from django.conf import settings
from django.core.checks import CheckMessage, run_checks

from siftly.server.log_format import formatter_for


def exit_on_errors() -> None:
    """Write each message as one log line, the most serious first. Exit with 1 on an error."""
    messages = [each for each in run_checks() if not each.is_silenced()]
    formatter = formatter_for(settings.LOG_FORMAT)
    for message in sorted(messages, key=lambda each: -each.level):
        sys.stderr.write(f"{formatter.format(_log_record(message))}\n")
    if any(each.is_serious() for each in messages):
        sys.exit(1)


def _log_record(message: CheckMessage) -> logging.LogRecord:
    text = f"{message.msg} {message.hint}" if message.hint else message.msg
    record = logging.LogRecord("siftly.checks.settings", message.level, "", 0, text, (), None)
    record.check = message.id
    return record
