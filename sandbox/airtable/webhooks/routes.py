"""The six routes of the change feed."""

from typing import Any
from urllib.parse import urlsplit

from sandbox.airtable.access import CREATOR, READ, SCHEMA, Token
from sandbox.airtable.calls import Call
from sandbox.airtable.cells import iso_time
from sandbox.airtable.errors import invalid_request, not_found
from sandbox.airtable.parameters import integer
from sandbox.airtable.webhooks.feed import Webhooks
from sandbox.airtable.webhooks.hook import LARGEST_PAGE, Webhook
from sandbox.airtable.webhooks.specification import DATA, Specification


def list_webhooks(call: Call) -> dict[str, Any]:
    webhooks = call.state.webhooks
    return {"webhooks": [shown(webhooks, hook) for hook in webhooks.of(call.base)]}


def create_webhook(call: Call) -> dict[str, Any]:
    call.incoming.token.require_level(CREATOR)
    specification = Specification.parse(call.incoming.json.get("specification"))
    _require_scopes(call.incoming.token, specification, call.base.id)
    url = _url(call.incoming.json.get("notificationUrl"))
    hook = call.state.webhooks.create(call.base, specification, url)
    return {
        "id": hook.id,
        "macSecretBase64": hook.secret_base64,
        "expirationTime": _expiration(call.state.webhooks, hook),
    }


def list_payloads(call: Call) -> dict[str, Any]:
    """Reading keeps the hook alive."""
    hook = _hook(call)
    _require_scopes(call.incoming.token, hook.specification, call.base.id)
    parameters = call.incoming.parameters
    cursor = integer(parameters, "cursor", 1) or 1
    limit = integer(parameters, "limit", LARGEST_PAGE) or LARGEST_PAGE
    if limit > LARGEST_PAGE:
        raise invalid_request()
    if hook.is_active(call.state.webhooks.clock()):
        call.state.webhooks.extend(hook)
    return hook.page(cursor, limit)


def refresh_webhook(call: Call) -> dict[str, Any]:
    call.incoming.token.require_level(CREATOR)
    hook = _hook(call)
    call.state.webhooks.extend(hook)
    return {"expirationTime": _expiration(call.state.webhooks, hook)}


def enable_notifications(call: Call) -> None:
    call.incoming.token.require_level(CREATOR)
    enable = call.incoming.json.get("enable")
    if not isinstance(enable, bool):
        raise invalid_request()
    call.state.webhooks.enable_notifications(_hook(call).id, enable=enable)


def delete_webhook(call: Call) -> None:
    call.incoming.token.require_level(CREATOR)
    call.state.webhooks.delete(_hook(call).id)


def shown(webhooks: Webhooks, hook: Webhook) -> dict[str, Any]:
    """https://airtable.com/developers/web/api/list-webhooks"""
    looks_valid = not hook.invalid or webhooks.settings.invalid_hooks_look_enabled
    return {
        "id": hook.id,
        "areNotificationsEnabled": hook.notifications_enabled,
        "cursorForNextPayload": hook.next_number,
        "isHookEnabled": looks_valid and webhooks.clock() < hook.expires_at,
        "lastSuccessfulNotificationTime": hook.ping.last_success,
        "notificationUrl": hook.notification_url,
        "expirationTime": _expiration(webhooks, hook),
        "lastNotificationResult": hook.ping.last_result,
        "specification": hook.specification.given,
    }


def _hook(call: Call) -> Webhook:
    for hook in call.state.webhooks.of(call.base):
        if hook.id == call.path["webhook"]:
            return hook
    raise not_found()


def _expiration(webhooks: Webhooks, hook: Webhook) -> str:
    return iso_time(webhooks.clock.on_the_wall(hook.expires_at))


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
