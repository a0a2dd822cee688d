"""Shows and changes the webhooks over HTTP: one action per method of Webhooks."""

import dataclasses
from collections.abc import Callable
from typing import Any

from sandbox.airtable.common.errors import AirtableError
from sandbox.airtable.webhooks.registry import INTERNAL_ERROR, Webhooks
from sandbox.airtable.webhooks.settings import changes_from_json
from sandbox.airtable.webhooks.webhook import Webhook


def show(webhooks: Webhooks) -> dict[str, Any]:
    return {
        "settings": dataclasses.asdict(webhooks.settings),
        "webhooks": [_to_json(each, webhooks.clock()) for each in webhooks.all()],
    }


def configure(webhooks: Webhooks, values: dict[str, Any]) -> None:
    webhooks.configure(**changes_from_json(values))


def run_action(webhooks: Webhooks, webhook_id: str, body: dict[str, Any]) -> None:
    """`body` has one action with its value. Raises ValueError if the webhook, the action or the
    value is wrong."""
    if len(body) != 1 or (name := next(iter(body))) not in ACTIONS:
        raise ValueError(f"send exactly one of {', '.join(ACTIONS)}")
    kind, action = ACTIONS[name]
    if not isinstance(body[name], kind) or isinstance(body[name], bool) != (kind is bool):
        raise ValueError(f"{name} has the wrong type")
    try:
        action(webhooks, webhook_id, body[name])
    except AirtableError as error:
        raise ValueError(str(error)) from error


ACTIONS: dict[str, tuple[type, Callable[[Webhooks, str, Any], None]]] = {
    "notify": (int, lambda webhooks, id_, times: webhooks.notify(id_, times)),
    "fail": (str, lambda webhooks, id_, code: webhooks.fail(id_, code or INTERNAL_ERROR)),
    "lose_payloads": (int, lambda webhooks, id_, before: webhooks.lose_payloads(id_, before)),
    "notifications": (
        bool,
        lambda webhooks, id_, enable: webhooks.enable_notifications(id_, enable=enable),
    ),
    "add_payload": (dict, lambda webhooks, id_, content: webhooks.add_payload(id_, content)),
    "expire": (bool, lambda webhooks, id_, _: webhooks.expire(id_)),
}


def _to_json(webhook: Webhook, now: float) -> dict[str, Any]:
    state = webhook.notification
    return {
        "id": webhook.id,
        "base": webhook.base.id,
        "payloads": len(webhook.payloads),
        "next_number": webhook.next_number,
        "notifications_enabled": webhook.notifications_enabled,
        "invalid": webhook.is_invalid,
        "expires_in": webhook.expires_at - now,
        "notification_due_in": None if state.due_at is None else state.due_at - now,
        "retry_number": state.retry_number,
    }
