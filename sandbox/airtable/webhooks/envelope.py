"""What all payloads have: when, by whom, in which transaction."""

from typing import Any

from sandbox.airtable.access import CREATOR, USER_ID
from sandbox.airtable.cells import iso_time
from sandbox.airtable.journal import CLIENT, PUBLIC_API
from sandbox.airtable.tables import utc_now
from sandbox.airtable.transactions import Transaction

USER = {"id": USER_ID, "email": "sandbox@siftly.example", "permissionLevel": CREATOR}


def envelope(transaction: Transaction, payload_format: str) -> dict[str, Any]:
    return {
        "timestamp": iso_time(utc_now()),
        "baseTransactionNumber": transaction.number,
        "payloadFormat": payload_format,
        "actionMetadata": _action(transaction.source),
    }


def error_content(code: str, transaction_number: int) -> dict[str, Any]:
    return {
        "timestamp": iso_time(utc_now()),
        "baseTransactionNumber": transaction_number,
        "payloadFormat": "v0",
        "error": True,
        "code": code,
    }


def _action(source: str) -> dict[str, Any]:
    by_people = source in (CLIENT, PUBLIC_API)
    return {"source": source} | ({"sourceMetadata": {"user": USER}} if by_people else {})
