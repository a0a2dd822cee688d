"""Names and values as TOML writes them: https://toml.io/en/v1.0.0#string"""

import re
from collections.abc import Iterable, Mapping

MAX_LINE = 100
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f"}
_ESCAPES |= {"\r": "\\r"}
# Also what would change the order or the lines of a text on a terminal, and halves of an emoji.
_TO_ESCAPE = re.compile(
    '["\\\\\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]'
)


def quoted(text: str) -> str:
    """Also for sentences and comments: a comment must not contain control characters."""
    return f'"{_TO_ESCAPE.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04X}"


def key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else quoted(name)


def dotted(keys: Iterable[str]) -> str:
    return ".".join(map(key, keys))


def list_of(texts: Iterable[str], *, behind: int = 0) -> str:
    """On one line, or one text a line if that is too long. `behind`: the characters before it."""
    items = [quoted(text) for text in texts]
    line = f"[{', '.join(items)}]"
    if len(line) + behind <= MAX_LINE:
        return line
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def inline_table(pairs: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{key(name)} = {quoted(text)}" for name, text in pairs.items()) + " }"


def comment(text: str) -> str:
    return f"# {text}"
