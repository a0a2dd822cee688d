"""Airtable's Webhooks API. Siftly has one webhook per base: the change feed, with or without change
notifications. https://airtable.com/developers/web/api/webhooks-overview"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import Unavailable
from airtable_sync.airtable.responses import required_text

# The whole base: a webhook that names a table or a field stops silently when that is deleted. All
# cells of a changed record: its number and its links show what else to read at the same time.
SPECIFICATION = {
    "options": {
        "filters": {"dataTypes": ["tableData", "tableFields", "tableMetadata"]},
        "includes": {"includeCellValuesInFieldIds": "all"},
    }
}


@dataclass(frozen=True)
class CreatedWebhook:
    id: str
    mac_secret: str = field(repr=False)  # base64; Airtable returns it only once
    expires_at: datetime | None


@dataclass(frozen=True)
class Webhook:
    id: str
    url: str
    enabled: bool
    notifies: bool  # Airtable stops notifying after a day of failures
    next_cursor: int
    expires_at: datetime | None
    last_failure: str  # of a notification; "" if the last one succeeded

    def is_alive(self, now: datetime) -> bool:
        return self.enabled and not (self.expires_at and self.expires_at <= now)


@dataclass(frozen=True)
class PayloadPage:
    payloads: list[Any]
    cursor: int  # of the next payload
    more: bool

    @property
    def first(self) -> int:
        return self.cursor - len(self.payloads)


class WebhooksApi:
    """Raises AirtableError; NotFound for a webhook that does not exist any more."""

    def __init__(self, airtable: AirtableClient) -> None:
        self._airtable = airtable

    def create(self, url: str | None) -> CreatedWebhook:
        body: dict[str, Any] = {"specification": SPECIFICATION}
        if url:
            body["notificationUrl"] = url
        answer = self._request("POST", json=body)
        try:
            expires_at = _moment(answer.get("expirationTime"))
            return CreatedWebhook(
                required_text(answer["id"]), required_text(answer["macSecretBase64"]), expires_at
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Unavailable("Airtable's response has no webhook.") from error

    def all(self) -> list[Webhook]:
        answer = self._request("GET")
        try:
            return [_webhook(each) for each in answer["webhooks"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Unavailable("Airtable's response has no webhooks.") from error

    def payloads(self, webhook_id: str, cursor: int) -> PayloadPage:
        """At most fifty payloads from a cursor on. Reading them extends the webhook's life."""
        answer = self._request("GET", f"/{webhook_id}/payloads", params={"cursor": cursor})
        try:
            return PayloadPage(
                [*answer["payloads"]], int(answer["cursor"]), bool(answer["mightHaveMore"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable("Airtable's response has no payloads.") from error

    def extend(self, webhook_id: str) -> None:
        self._request("POST", f"/{webhook_id}/refresh")

    def enable_notifications(self, webhook_id: str) -> None:
        self._request("POST", f"/{webhook_id}/enableNotifications", json={"enable": True})

    def delete(self, webhook_id: str) -> None:
        self._request("DELETE", f"/{webhook_id}")

    def _request(self, method: str, path: str = "", **arguments: Any) -> Any:
        return self._airtable.request(
            method, f"bases/{self._airtable.base_id}/webhooks{path}", **arguments
        )


def _webhook(webhook: dict[str, Any]) -> Webhook:
    last = webhook.get("lastNotificationResult") or {}
    return Webhook(
        id=required_text(webhook["id"]),
        url=required_text(webhook.get("notificationUrl") or ""),
        enabled=bool(webhook.get("isHookEnabled", True)),
        notifies=bool(webhook.get("areNotificationsEnabled", True)),
        next_cursor=int(webhook.get("cursorForNextPayload") or 1),
        expires_at=_moment(webhook.get("expirationTime")),
        last_failure="" if last.get("success", True) else _failure(last),
    )


def _failure(result: dict[str, Any]) -> str:
    error = result.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return message[:200] if isinstance(message, str) else "failed"


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
