"""Airtable's errors, in its three body shapes.

https://airtable.com/developers/web/api/errors. Where Airtable does not publish the wording,
docs/contribute/sandbox.md says so.
"""

from collections.abc import Iterable
from typing import Any, Literal

Shape = Literal["object", "string", "array"]


def error_body(kind: str, message: str = "", shape: Shape = "object") -> dict[str, Any]:
    if shape == "string":
        return {"error": kind}
    if shape == "array":
        return {"errors": [{"error": kind, "message": message}]}
    return {"error": {"type": kind} | ({"message": message} if message else {})}


class AirtableError(Exception):
    """A response with a status other than 200."""

    def __init__(self, status: int, kind: str, message: str = "", shape: Shape = "object") -> None:
        super().__init__(f"{status} {kind} {message}".strip())
        self.status = status
        self.kind = kind
        self.message = message
        self.shape = shape

    @property
    def body(self) -> dict[str, Any]:
        return error_body(self.kind, self.message, self.shape)


def not_found() -> AirtableError:
    return AirtableError(404, "NOT_FOUND", shape="string")


def url_too_long() -> AirtableError:
    return AirtableError(414, "REQUEST_URI_TOO_LONG", "The URL is longer than 16,000 characters")


def body_too_large() -> AirtableError:
    return AirtableError(413, "REQUEST_BODY_TOO_LARGE", "Request body is too large")


def body_not_json() -> AirtableError:
    return AirtableError(400, "INVALID_REQUEST_BODY", "Could not parse request body")


def authentication_required() -> AirtableError:
    return AirtableError(401, "AUTHENTICATION_REQUIRED", "Authentication required")


def invalid_token() -> AirtableError:
    return AirtableError(401, "UNAUTHORIZED", "Invalid authentication token")


def model_not_found() -> AirtableError:
    """Airtable sends the same error when the token lacks the scope or the base."""
    return AirtableError(
        403,
        "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "Invalid permissions, or the requested model was not found. Check that both your user and "
        "your token have the required permissions, and that the model names and/or ids are "
        "correct.",
    )


def not_permitted() -> AirtableError:
    return AirtableError(
        403, "INVALID_PERMISSIONS", "You are not permitted to perform this operation"
    )


def too_many_webhooks() -> AirtableError:
    return AirtableError(
        422, "TOO_MANY_WEBHOOKS_IN_BASE", "The base already has the maximum number of webhooks"
    )


def invalid_filters(message: str) -> AirtableError:
    return AirtableError(422, "INVALID_FILTERS", message)


def invalid_request(message: str = "") -> AirtableError:
    return AirtableError(
        422,
        "INVALID_REQUEST_UNKNOWN",
        message or "Invalid request: parameter validation failed. Check your request data.",
    )


def missing_body_field(name: str) -> AirtableError:
    return AirtableError(
        422, "INVALID_REQUEST_MISSING_FIELDS", f'Could not find field "{name}" in the request body'
    )


def unknown_field(name: str) -> AirtableError:
    return AirtableError(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')


def invalid_value(field: str, why: str = "the provided value") -> AirtableError:
    return AirtableError(422, "INVALID_VALUE_FOR_COLUMN", f'Field "{field}" cannot accept {why}')


def unknown_choice(name: str) -> AirtableError:
    return AirtableError(
        422,
        "INVALID_MULTIPLE_CHOICE_OPTIONS",
        f'Insufficient permissions to create new select option ""{name}""',
    )


def row_does_not_exist(record_id: str) -> AirtableError:
    return AirtableError(422, "ROW_DOES_NOT_EXIST", f"Record ID {record_id} does not exist")


def unknown_view(name: str) -> AirtableError:
    return AirtableError(422, "VIEW_NAME_NOT_FOUND", f"View {name} not found")


def invalid_offset(offset: str) -> AirtableError:
    return AirtableError(422, "INVALID_OFFSET_VALUE", f"The value of offset {offset} is invalid")


def iterator_not_available() -> AirtableError:
    return AirtableError(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")


def invalid_formula(detail: str) -> AirtableError:
    message = f"The formula for filtering records is invalid: {detail}"
    return AirtableError(422, "INVALID_FILTER_BY_FORMULA", message)


def formula_syntax() -> AirtableError:
    return invalid_formula("Invalid formula. Please check your formula text.")


def unknown_formula_fields(names: Iterable[str]) -> AirtableError:
    return invalid_formula(f"Unknown field names: {', '.join(name.lower() for name in names)}")


def unknown_functions(names: Iterable[str]) -> AirtableError:
    return invalid_formula(f"Unknown function names: {', '.join(name.lower() for name in names)}")


def unsupported(what: str) -> AirtableError:
    """For what Airtable supports and the sandbox does not. Airtable itself never sends 501."""
    return AirtableError(501, "SANDBOX_NOT_IMPLEMENTED", f"The sandbox does not support {what}")


def rate_limited() -> AirtableError:
    return AirtableError(
        429, "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later", "array"
    )


def quota_exceeded() -> AirtableError:
    return AirtableError(
        429,
        "PUBLIC_API_BILLING_LIMIT_EXCEEDED",
        "API billing plan limit exceeded. You've reached the maximum number of requests allowed "
        "for this month.",
        "array",
    )
