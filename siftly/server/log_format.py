"""Formats each log event as one line, of text or of JSON.

Fields that are passed with `extra=` come before the message. So the messages that operators search
for are the end of the line, word for word."""

import json
import logging
from typing import Any

from siftly.server.log_timestamp import timestamp
from siftly.server.prepared_log_line import PreparedLogLine

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
# Django and uvicorn add these attributes for their own handlers.
_OF_LIBRARIES = {"request", "status_code", "server_time", "sql", "params", "duration", "alias"}
_NOT_FIELDS = frozenset({*_STANDARD, *_OF_LIBRARIES, "prepared_line"})


def formatter_for(log_format: str) -> logging.Formatter:
    """The formatter for a value of LOG_FORMAT: `json` or `text`."""
    return JsonFormatter() if log_format == "json" else TextFormatter()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were passed with `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _NOT_FIELDS}


class LineFormatter(logging.Formatter):
    """Formats prepared lines. Subclasses format all other records in `format_event`."""

    def format(self, record: logging.LogRecord) -> str:
        if record.args and isinstance(line := vars(record).get("prepared_line"), PreparedLogLine):
            return line.format(record, self)
        return self.format_event(record)

    def format_event(self, record: logging.LogRecord) -> str:
        raise NotImplementedError


class TextFormatter(LineFormatter):
    """`2026-11-22T20:36:04.123Z INFO [tier=redis] Redis cache hit for +32460234291`"""

    def format_event(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        text = f"{timestamp(record)} {record.levelname} {f'[{fields}] ' if fields else ''}"
        text += record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text.replace("\r", "\\r").replace("\n", "\\n")


class JsonFormatter(LineFormatter):
    """A JSON object with the time, level, logger and message, and the event's own fields."""

    def format_event(self, record: logging.LogRecord) -> str:
        event = {
            "time": timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)
