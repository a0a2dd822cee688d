"""What Django logs about a response of 5xx that is no mistake in the code."""

import logging

from django.db import InterfaceError, OperationalError


class ExpectedErrors(logging.Filter):
    """A filter of Django's logger for responses. It makes a warning without a traceback of a busy
    database and of a response that a view returned itself, such as 503 for too many logins: anyone
    can cause them. A logger's filter comes before all handlers, so Sentry gets no event either."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR and _is_expected(record):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = record.exc_text = None
        return True


def _is_expected(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return error is None or isinstance(error, OperationalError | InterfaceError)
