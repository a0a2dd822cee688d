"""Reads what platforms send: JSON and forms. Every function raises MalformedCall with a clear
message."""

from typing import Any
from urllib.parse import parse_qsl

from siftly.server import strict_json
from webhooks.platforms.base import MalformedCall

MAX_OPTIONAL_LENGTH = 100
MAX_FIELDS = 500  # of a form, or of a query


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


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form, in their order; a name may come again."""
    return query_pairs(body.decode("utf-8", "replace"))


def query_pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise MalformedCall(f"There are more than {MAX_FIELDS} fields.") from None


def fields_of(body: bytes) -> dict[str, Any]:
    """Of a form or a JSON object, whatever its content type says: some senders do not document
    theirs. Of a field that comes again, the last counts."""
    text = body.lstrip()
    is_form = b"=" in text and text[:1] not in (b"{", b"[")
    return dict(form_pairs(body)) if is_form else json_object(body)


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
