"""Whatever text comes from outside, a log event is one line of printable characters."""

import json
import logging

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from siftly.server.gunicorn_log import GunicornLogger
from siftly.server.log_format import JsonFormatter, TextFormatter, escape
from siftly.server.prepared_log_line import PreparedLogLine

# Escape sequences, title and bell of a terminal, C1 controls, line separators, direction marks, a
# byte order mark, half a surrogate pair, a space that does not break, a tag character.
HOSTILE = (
    *(
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x00",
        "\b",
        "\t",
        "\v",
        "\f",
        "\r\n",
        "\x7f",
        "\x85",
        "\x9b",
    ),
    *("\u2028", "\u2029", "\u200e", "\u200f", "\u061c", "\u202a", "\u202e", "\u2066", "\u2069"),
    *("\ufeff", "\ud800", "\udfff", "\u00a0", "\U000e0041"),
)
FORMATTERS = pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
# Without surrogates, `st.text()` would not try what `surrogateescape` decodes.
ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(HOSTILE)


def hostile_record(text: str) -> logging.LogRecord:
    """The text is in the message, in an argument, in a field and in an exception with a cause."""
    message = text.replace("%", "%%") + " %s"
    made = logging.LogRecord("siftly", logging.ERROR, "", 1, message, (text,), None)
    error = ValueError(text)
    error.__cause__ = KeyError(text)
    made.exc_info, made.__dict__["field"] = (ValueError, error, None), text
    return made


@FORMATTERS
@pytest.mark.parametrize("text", HOSTILE)
def test_characters_that_are_not_printable_are_escaped(
    text: str, formatter: logging.Formatter
) -> None:
    assert formatter.format(hostile_record(text)).isprintable()


@FORMATTERS
@given(text=ANY_TEXT)
def test_any_text_gives_one_line_that_is_printable(formatter: logging.Formatter, text: str) -> None:
    line = formatter.format(hostile_record(text))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


@given(text=ANY_TEXT)
def test_json_has_any_text_unchanged(text: str) -> None:
    event = json.loads(JsonFormatter().format(hostile_record(text)))
    # JSON reads the two halves of a surrogate pair as one character.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert (event["message"], event["field"]) == (f"{text} {text}", text)


@FORMATTERS
@given(text=ANY_TEXT)
def test_a_prepared_line_escapes_any_text_as_a_usual_line_does(
    formatter: logging.Formatter, text: str
) -> None:
    logger = RecordingLogger("siftly", logging.INFO)
    PreparedLogLine(logger, "Redis cache hit for %s", tier="memory").log(text)
    logger.info("Redis cache hit for %s", text, extra={"tier": "memory"})
    prepared, usual = logger.records
    prepared.created, prepared.msecs = usual.created, usual.msecs
    assert formatter.format(prepared) == formatter.format(usual)
    assert formatter.format(prepared).isprintable()


class RecordingLogger(logging.Logger):
    def __init__(self, name: str, level: int) -> None:
        super().__init__(name, level)
        self.records: list[logging.LogRecord] = []

    def handle(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_other_languages_and_signs_are_not_escaped() -> None:
    for text in ("Zoë: “€ 29,99” …", "日本語", "עברית", "العربية", "🙂", "C:\\new"):
        assert escape(text) == text


def test_an_escaped_character_shows_its_code() -> None:
    assert escape("a\x1b[31m\r\n\u2028\ud800\U000e0041") == (
        "a\\x1b[31m\\r\\n\\u2028\\ud800\\U000e0041"
    )


def test_gunicorns_own_lines_are_escaped() -> None:
    logger = GunicornLogger(Config()).error_log
    [handler] = logger.handlers
    logger.handlers.clear()
    assert handler.format(hostile_record("".join(HOSTILE))).isprintable()
