"""Steering the change feed over HTTP: one call for each method of Webhooks."""

import dataclasses
from collections.abc import Callable
from typing import Any

from sandbox.airtable.errors import AirtableError
from sandbox.airtable.webhooks.feed import INTERNAL_ERROR, Webhooks
from sandbox.airtable.webhooks.hook import Webhook
from sandbox.airtable.webhooks.settings import changes_from_json


def show(webhooks: Webhooks) -> dict[str, Any]:
    return {
        "settings": dataclasses.asdict(webhooks.settings),
        "webhooks": [_shown(hook, webhooks.clock()) for hook in webhooks.all()],
    }


def configure(webhooks: Webhooks, wanted: dict[str, Any]) -> None:
    webhooks.configure(**changes_from_json(wanted))


def act(webhooks: Webhooks, hook_id: str, wanted: dict[str, Any]) -> None:
    """One action with its values. Raises ValueError when there is no such hook or action."""
    if len(wanted) != 1 or (name := next(iter(wanted))) not in ACTIONS:
        raise ValueError(f"exactly one of {', '.join(ACTIONS)} is needed")
    kind, action = ACTIONS[name]
    if not isinstance(wanted[name], kind) or isinstance(wanted[name], bool) != (kind is bool):
        raise ValueError(f"{name} has a wrong type")
    try:
        action(webhooks, hook_id, wanted[name])
    except AirtableError as error:
        raise ValueError(str(error)) from error


ACTIONS: dict[str, tuple[type, Callable[[Webhooks, str, Any], None]]] = {
    "ping": (int, lambda webhooks, hook_id, times: webhooks.ping(hook_id, times)),
    "fail": (str, lambda webhooks, hook_id, code: webhooks.fail(hook_id, code or INTERNAL_ERROR)),
    "lose_payloads": (int, lambda webhooks, hook_id, below: webhooks.lose_payloads(hook_id, below)),
    "notifications": (
        bool,
        lambda webhooks, hook_id, enable: webhooks.enable_notifications(hook_id, enable=enable),
    ),
    "add_payload": (dict, lambda webhooks, hook_id, body: webhooks.add_payload(hook_id, body)),
    "expire": (bool, lambda webhooks, hook_id, _: webhooks.expire(hook_id)),
}


def _shown(hook: Webhook, now: float) -> dict[str, Any]:
    return {
        "id": hook.id,
        "base": hook.base.id,
        "payloads": len(hook.payloads),
        "next_number": hook.next_number,
        "notifications_enabled": hook.notifications_enabled,
        "invalid": hook.invalid,
        "expires_in": hook.expires_at - now,
        "ping_due_in": None if hook.ping.due_at is None else hook.ping.due_at - now,
        "retry_number": hook.ping.retry_number,
    }
