"""The six routes of Airtable's Webhooks API."""

from typing import Any
from urllib.parse import urlsplit

from sandbox.airtable.api.endpoint import Call
from sandbox.airtable.api.parameters import integer
from sandbox.airtable.common.access import CREATOR, READ, SCHEMA, Token
from sandbox.airtable.common.clock import iso_time
from sandbox.airtable.common.errors import invalid_request, not_found
from sandbox.airtable.webhooks.registry import Webhooks
from sandbox.airtable.webhooks.specification import DATA, Specification
from sandbox.airtable.webhooks.webhook import MAX_PAGE_SIZE, Webhook


def list_webhooks(call: Call) -> dict[str, Any]:
    webhooks = call.state.webhooks
    return {"webhooks": [_to_json(webhooks, each) for each in webhooks.of(call.base)]}


def create_webhook(call: Call) -> dict[str, Any]:
    call.request.token.require_level(CREATOR)
    specification = Specification.parse(call.request.json.get("specification"))
    _require_scopes(call.request.token, specification, call.base.id)
    url = _url(call.request.json.get("notificationUrl"))
    webhook = call.state.webhooks.create(call.base, specification, url)
    return {
        "id": webhook.id,
        "macSecretBase64": webhook.secret_base64,
        "expirationTime": _expiration(call.state.webhooks, webhook),
    }


def list_payloads(call: Call) -> dict[str, Any]:
    """Extends the webhook's life."""
    webhook = _webhook(call)
    _require_scopes(call.request.token, webhook.specification, call.base.id)
    parameters = call.request.parameters
    cursor = integer(parameters, "cursor", 1) or 1
    limit = integer(parameters, "limit", MAX_PAGE_SIZE) or MAX_PAGE_SIZE
    if limit > MAX_PAGE_SIZE:
        raise invalid_request()
    if webhook.is_active(call.state.webhooks.clock()):
        call.state.webhooks.extend(webhook)
    return webhook.page(cursor, limit)


def refresh_webhook(call: Call) -> dict[str, Any]:
    call.request.token.require_level(CREATOR)
    webhook = _webhook(call)
    call.state.webhooks.extend(webhook)
    return {"expirationTime": _expiration(call.state.webhooks, webhook)}


def enable_notifications(call: Call) -> None:
    call.request.token.require_level(CREATOR)
    enable = call.request.json.get("enable")
    if not isinstance(enable, bool):
        raise invalid_request()
    call.state.webhooks.enable_notifications(_webhook(call).id, enable=enable)


def delete_webhook(call: Call) -> None:
    call.request.token.require_level(CREATOR)
    call.state.webhooks.delete(_webhook(call).id)


def _to_json(webhooks: Webhooks, webhook: Webhook) -> dict[str, Any]:
    """https://airtable.com/developers/web/api/list-webhooks"""
    looks_valid = not webhook.is_invalid or webhooks.settings.invalid_webhooks_look_enabled
    return {
        "id": webhook.id,
        "areNotificationsEnabled": webhook.notifications_enabled,
        "cursorForNextPayload": webhook.next_number,
        "isHookEnabled": looks_valid and webhooks.clock() < webhook.expires_at,
        "lastSuccessfulNotificationTime": webhook.notification.last_success,
        "notificationUrl": webhook.notification_url,
        "expirationTime": _expiration(webhooks, webhook),
        "lastNotificationResult": webhook.notification.last_result,
        "specification": webhook.specification.given,
    }


def _webhook(call: Call) -> Webhook:
    for webhook in call.state.webhooks.of(call.base):
        if webhook.id == call.path["webhook"]:
            return webhook
    raise not_found()


def _expiration(webhooks: Webhooks, webhook: Webhook) -> str:
    return iso_time(webhooks.clock.to_wall_time(webhook.expires_at))


def _require_scopes(token: Token, specification: Specification, base_id: str) -> None:
    """https://airtable.com/developers/web/api/webhooks-overview#authorization"""
    if DATA in specification.data_types:
        token.require(READ, base_id)
    if specification.data_types - {DATA}:
        token.require(SCHEMA, base_id)


def _url(value: Any) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid_request("notificationUrl is not an HTTP address")
    return str(value)
