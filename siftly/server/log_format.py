"""Formats each log event as one line, of text or of JSON.

Fields that are passed with `extra=` come before the message. So the messages that operators search
for are the end of the line, word for word.

A line has only printable characters. Others, which paths, hosts, bodies and exceptions may have,
could start another line, change the terminal or reverse the order of what a reader sees."""

import json
import logging
from typing import Any

from siftly.server.log_timestamp import timestamp
from siftly.server.prepared_log_line import PreparedLogLine

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
# Django and uvicorn add these attributes for their own handlers.
_OF_LIBRARIES = {"request", "status_code", "server_time", "sql", "params", "duration", "alias"}
_NOT_FIELDS = frozenset({*_STANDARD, *_OF_LIBRARIES, "prepared_line"})
_DELETE = "\x7f"  # the only character that is not printable and that JSON does not escape


def escape(text: str) -> str:
    """Writes each character that is not printable as `\\x1b` or `\\u2028`: controls, separators of
    lines, unusual spaces, direction marks, lone surrogates.
    https://docs.python.org/3/library/stdtypes.html#str.isprintable"""
    if text.isprintable():  # for speed: 0.3 µs, for nearly every line
        return text
    characters = (
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    return "".join(characters)


def formatter_for(log_format: str) -> logging.Formatter:
    """The formatter for a value of LOG_FORMAT: `json` or `text`."""
    return JsonFormatter() if log_format == "json" else TextFormatter()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were passed with `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _NOT_FIELDS}


class LineFormatter(logging.Formatter):
    """Formats prepared lines. Subclasses format all other records in `format_event`."""

    def format(self, record: logging.LogRecord) -> str:
        line: PreparedLogLine | None = record.__dict__.get("prepared_line")
        prepared = line.format(record, self) if line else None
        return self.format_event(record) if prepared is None else prepared

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
        return escape(text)


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
        return json.dumps(event, default=str).replace(_DELETE, "\\u007f")
