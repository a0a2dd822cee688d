"""A log line that every cache hit writes, prepared for speed."""

import logging
import re
import time
from typing import Any, cast

from siftly.server.log_timestamp import timestamp

_PLAIN = re.compile(r"[+\w]*", re.ASCII).fullmatch


class PreparedLogLine:
    """Logs one message with one argument at INFO.

    The log record is created once and copied for each call, and each formatter's text around the
    argument is created once. Creating both anew for each call took a fifth of a cache hit's time.

    The argument is plain text, such as an E.164 number. A formatter formats any other argument as
    usual, because text or JSON may have to escape it."""

    _PLACEHOLDER = "argument"

    def __init__(self, logger: logging.Logger, message: str, **fields: Any) -> None:
        self._logger = logger
        values = (logger.name, logging.INFO, "", 0, message, (self._PLACEHOLDER,), None)
        self._template = logger.makeRecord(*values, extra=fields)
        self._attributes = {**vars(self._template), "prepared_line": self}
        self._parts: dict[logging.Formatter, tuple[str, str, str]] = {}

    def log(self, argument: str) -> None:
        if not self._logger.isEnabledFor(logging.INFO):
            return
        now = time.time()
        # For speed: LogRecord's own constructor sets twenty attributes, one by one.
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__ = self._attributes.copy()
        record.args, record.created, record.msecs = (argument,), now, now % 1 * 1000
        self._logger.handle(record)

    def format(self, record: logging.LogRecord, formatter: logging.Formatter) -> str | None:
        """Return what the formatter returns for an equal record that was not prepared. None if the
        argument is not the same in text and in JSON."""
        [argument] = cast("tuple[str]", record.args)
        if not _PLAIN(argument):
            return None
        before, between, after = self._parts.get(formatter) or self._prepare(formatter)
        return f"{before}{timestamp(record)}{between}{argument}{after}"

    def _prepare(self, formatter: logging.Formatter) -> tuple[str, str, str]:
        before, _, rest = formatter.format(self._template).partition(timestamp(self._template))
        between, _, after = rest.partition(self._PLACEHOLDER)
        return self._parts.setdefault(formatter, (before, between, after))
