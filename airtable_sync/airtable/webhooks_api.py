"""Airtable's webhooks, of which Siftly has one a base: the change feed, with or without pings.
https://airtable.com/developers/web/api/webhooks-overview"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airtable_sync.airtable.client import Airtable
from airtable_sync.airtable.errors import Unavailable

# All of the base: a hook that names a table or field dies silently with it. All cells of a changed
# record: its number and its links tell what else to read at the same time.
SPECIFICATION = {
    "options": {
        "filters": {"dataTypes": ["tableData", "tableFields", "tableMetadata"]},
        "includes": {"includeCellValuesInFieldIds": "all"},
    }
}


@dataclass(frozen=True)
class Created:
    id: str
    secret: str = field(repr=False)  # base64; shown by Airtable only once
    expires_at: datetime | None


@dataclass(frozen=True)
class Listed:
    id: str
    url: str
    enabled: bool
    pings: bool  # Airtable switches them off after a day of failures
    next_cursor: int
    expires_at: datetime | None
    last_ping: str

    def is_alive(self, now: datetime) -> bool:
        return self.enabled and not (self.expires_at and self.expires_at <= now)


@dataclass(frozen=True)
class Page:
    payloads: list[Any]
    cursor: int  # of the next payload
    more: bool

    @property
    def first(self) -> int:
        return self.cursor - len(self.payloads)


class Hooks:
    """Raises AirtableError; NotFound for a hook that is gone."""

    def __init__(self, airtable: Airtable) -> None:
        self._airtable = airtable

    def create(self, url: str | None) -> Created:
        body: dict[str, Any] = {"specification": SPECIFICATION}
        if url:
            body["notificationUrl"] = url
        answer = self._ask("POST", json=body)
        try:
            expires_at = _moment(answer.get("expirationTime"))
            return Created(answer["id"], answer["macSecretBase64"], expires_at)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Unavailable("Airtable's answer holds no webhook.") from error

    def listed(self) -> list[Listed]:
        answer = self._ask("GET")
        try:
            return [_listed(each) for each in answer["webhooks"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Unavailable("Airtable's answer holds no webhooks.") from error

    def page(self, hook_id: str, cursor: int) -> Page:
        """At most fifty payloads from a cursor on. Reading them prolongs the hook's life."""
        answer = self._ask("GET", f"/{hook_id}/payloads", params={"cursor": cursor})
        try:
            return Page(
                list(answer["payloads"]), int(answer["cursor"]), bool(answer["mightHaveMore"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable("Airtable's answer holds no payloads.") from error

    def prolong(self, hook_id: str) -> None:
        self._ask("POST", f"/{hook_id}/refresh")

    def switch_pings_on(self, hook_id: str) -> None:
        self._ask("POST", f"/{hook_id}/enableNotifications", json={"enable": True})

    def delete(self, hook_id: str) -> None:
        self._ask("DELETE", f"/{hook_id}")

    def _ask(self, method: str, path: str = "", **arguments: Any) -> Any:
        return self._airtable.ask(
            method, f"bases/{self._airtable.base}/webhooks{path}", **arguments
        )


def _listed(hook: dict[str, Any]) -> Listed:
    last = hook.get("lastNotificationResult") or {}
    return Listed(
        id=hook["id"],
        url=hook.get("notificationUrl") or "",
        enabled=bool(hook.get("isHookEnabled", True)),
        pings=bool(hook.get("areNotificationsEnabled", True)),
        next_cursor=int(hook.get("cursorForNextPayload") or 1),
        expires_at=_moment(hook.get("expirationTime")),
        last_ping="" if last.get("success", True) else str(last.get("error", "failed"))[:200],
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
