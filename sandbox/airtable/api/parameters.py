"""A request's parameters, from a query string (with brackets) or from the JSON of a POST."""

import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.airtable.common.errors import invalid_request

BRACKETS = re.compile(r"\[([^\]]*)\]")
LISTS = ("fields", "recordMetadata", "records", "include")


def from_query(query: bytes) -> dict[str, Any]:
    """A literal + is a space, so a filter with an unescaped +32… matches nothing."""
    parameters: dict[str, Any] = {}
    sort: dict[str, dict[str, str]] = {}
    for key, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        name = key.partition("[")[0]
        if name in LISTS:
            parameters.setdefault(name, []).append(value)
        elif name == "sort" and len(place := BRACKETS.findall(key)) == 2:
            sort.setdefault(place[0], {})[place[1]] = value
        else:
            parameters[key] = value
    if sort:
        parameters["sort"] = [sort[index] for index in sorted(sort)]
    return parameters


def flag(parameters: dict[str, Any], name: str) -> bool:
    value = parameters.get(name)
    if value in (None, False, 0, "0", "false", ""):
        return False
    if value in (True, 1, "1", "true"):
        return True
    raise invalid_request()


def integer(parameters: dict[str, Any], name: str, default: int | None) -> int | None:
    value = parameters.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:18])
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise invalid_request()
    return value


def text(parameters: dict[str, Any], name: str) -> str:
    value = parameters.get(name) or ""
    if not isinstance(value, str):
        raise invalid_request()
    return value


def texts(parameters: dict[str, Any], name: str) -> list[str] | None:
    """None if the parameter is missing."""
    values = parameters.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise invalid_request()
    return values
