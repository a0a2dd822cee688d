"""The part that all payloads have: time, transaction, and source."""

from typing import Any

from sandbox.airtable.common.access import CREATOR, USER_ID
from sandbox.airtable.common.clock import iso_time, utc_now
from sandbox.airtable.data.transactions import CLIENT, PUBLIC_API, Transaction

USER = {"id": USER_ID, "email": "sandbox@siftly.example", "permissionLevel": CREATOR}


def envelope(transaction: Transaction, payload_format: str) -> dict[str, Any]:
    return {
        "timestamp": iso_time(utc_now()),
        "baseTransactionNumber": transaction.number,
        "payloadFormat": payload_format,
        "actionMetadata": _action_metadata(transaction.source),
    }


def error_payload(code: str, transaction_number: int) -> dict[str, Any]:
    return {
        "timestamp": iso_time(utc_now()),
        "baseTransactionNumber": transaction_number,
        "payloadFormat": "v0",
        "error": True,
        "code": code,
    }


def _action_metadata(source: str) -> dict[str, Any]:
    has_user = source in (CLIENT, PUBLIC_API)
    return {"source": source} | ({"sourceMetadata": {"user": USER}} if has_user else {})
