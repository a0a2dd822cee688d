"""Options of fields, as a person chooses them in Airtable.

https://airtable.com/developers/web/api/field-model
"""

from typing import Any

Options = dict[str, Any]

DATE_FORMAT = {"name": "european", "format": "D/M/YYYY"}
TIME_FORMAT = {"name": "24hour", "format": "HH:mm"}
DATE: Options = {"dateFormat": DATE_FORMAT}
CHECKBOX: Options = {"icon": "check", "color": "greenBright"}
ATTACHMENTS: Options = {"isReversed": False}


def number(precision: int) -> Options:
    """Of a number or a percentage."""
    return {"precision": precision}


def euros(precision: int = 2) -> Options:
    return {"precision": precision, "symbol": "€"}


def duration(pattern: str) -> Options:
    return {"durationFormat": pattern}


def date_time(time_zone: str) -> Options:
    return {"timeZone": time_zone, "dateFormat": DATE_FORMAT, "timeFormat": TIME_FORMAT}


def formula(text: str, result: str = "singleLineText", options: Options | None = None) -> Options:
    """`result` is the type of the result, with its options."""
    typed: Options = {"type": result} | ({"options": options} if options else {})
    return {"formula": text, "result": typed}


def lookup(link: str, field: str) -> Options:
    """The values of a field of the linked records."""
    return {"recordLinkFieldId": link, "fieldIdInLinkedTable": field}


def count(link: str) -> Options:
    return {"recordLinkFieldId": link}
