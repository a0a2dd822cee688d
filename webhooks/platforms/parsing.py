"""Reads the JSON bodies of platforms. Every function raises MalformedCall with a clear message."""

from typing import Any

from siftly.server import strict_json
from webhooks.platforms.base import MalformedCall

MAX_OPTIONAL_LENGTH = 100


def json_object(body: bytes) -> dict[str, Any]:
    try:
        value = _decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise MalformedCall("The body is not UTF-8.") from None
    except RecursionError:
        raise MalformedCall("The body is nested too deeply.") from None
    except ValueError:
        raise MalformedCall("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise MalformedCall("The body is not a JSON object.")
    return value


def member(container: dict[str, Any], name: str, kind: type, path: str) -> Any:
    """A required member of a type. `path` names it in messages."""
    if name not in container:
        raise MalformedCall(f"{path} is missing.")
    if not isinstance(container[name], kind):
        raise MalformedCall(f"{path} must be {'a string' if kind is str else 'an object'}.")
    return container[name]


def optional_text(container: Any, name: str) -> str:
    """The platform's id of the call, or the caller; "" if it is missing or unusable, which is no
    reason to refuse the call."""
    value = container.get(name) if isinstance(container, dict) else None
    return value if isinstance(value, str) and len(value) <= MAX_OPTIONAL_LENGTH else ""


def _decode(text: str) -> Any:
    """The same as `decode` alone, in half the time: without looking for white space around it."""
    if text.startswith("{"):
        value, end = strict_json.DECODER.raw_decode(text)
        if end == len(text):
            return value
    return strict_json.DECODER.decode(text)
