"""All webhooks of a sandbox, and the methods that cause faults in their change feed."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.airtable.common.clock import Clock
from sandbox.airtable.common.errors import invalid_request, not_found, too_many_webhooks
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.transactions import Transaction
from sandbox.airtable.webhooks.clock import ScaledClock
from sandbox.airtable.webhooks.envelope import envelope, error_payload
from sandbox.airtable.webhooks.payloads import payload_contents
from sandbox.airtable.webhooks.settings import WebhookSettings
from sandbox.airtable.webhooks.specification import Specification
from sandbox.airtable.webhooks.webhook import Webhook

INVALID_HOOK, INTERNAL_ERROR = "INVALID_HOOK", "INTERNAL_ERROR"


class Webhooks:
    """A base's lock protects its webhooks. Methods that take a webhook's id raise AirtableError
    (404) if there is no such webhook."""

    def __init__(self, clock: Clock, settings: WebhookSettings) -> None:
        self.settings = settings
        self.clock = ScaledClock(clock, settings.time_scale)
        self.on_due: Callable[[], object] = lambda: None
        """Called when a notification may be due. The notification sender sets it."""
        self._by_base: dict[str, BaseWebhooks] = {}
        clock.after_advance.append(self.wake)

    def wake(self) -> None:
        """Makes the notification sender check which notifications are due."""
        self.on_due()

    def configure(self, **changes: Any) -> None:
        """Changes settings by name. Raises ValueError if a value is wrong."""
        self.settings = dataclasses.replace(self.settings, **changes)
        self.clock.rescale(self.settings.time_scale)
        self.wake()

    def of(self, base: Base) -> list[Webhook]:
        """The base's webhooks, with invalid ones and those that expired less than a week ago."""
        with base.lock:
            webhooks = self._by_base.get(base.id)
            return webhooks.readable() if webhooks else []

    def all(self) -> list[Webhook]:
        return [each for one in list(self._by_base.values()) for each in self.of(one.base)]

    def get(self, webhook_id: str) -> Webhook:
        oldest = self.clock() - self.settings.lifetime
        for one in list(self._by_base.values()):
            for webhook in list(one.webhooks):
                if webhook.id == webhook_id and webhook.expires_at > oldest:
                    return webhook
        raise not_found()

    def create(self, base: Base, specification: Specification, url: str | None) -> Webhook:
        """Raises AirtableError (422) if the base has too many webhooks or lacks a watched table or
        field."""
        with base.lock:
            specification.check(base)
            if len(self.of(base)) >= self.settings.max_webhooks:
                raise too_many_webhooks()
            expires_at = self.clock() + self.settings.lifetime
            webhook = Webhook(base, specification, url, expires_at, notifications_enabled=bool(url))
            if base.id not in self._by_base:
                self._by_base[base.id] = BaseWebhooks(self, base)
            self._by_base[base.id].add(webhook)
            return webhook

    def delete(self, webhook_id: str) -> None:
        with self._locked(webhook_id) as webhook:
            self._by_base[webhook.base.id].remove(webhook)

    def extend(self, webhook: Webhook) -> None:
        """Starts the webhook's lifetime again. Raises AirtableError (422) if it is not active."""
        if not webhook.is_active(self.clock()):
            raise invalid_request("The webhook is expired or invalid")
        webhook.expires_at = self.clock() + self.settings.lifetime

    def enable_notifications(self, webhook_id: str, *, enable: bool = True) -> None:
        """Earlier changes cause no notification. Raises AirtableError (422) without a URL."""
        with self._locked(webhook_id) as webhook:
            if enable and not webhook.notification_url:
                raise invalid_request("The webhook has no notificationUrl")
            webhook.notifications_enabled = enable
            webhook.notification.cancel()

    def add_payload(self, webhook_id: str, content: dict[str, Any]) -> None:
        """Adds a payload with any content."""
        with self._locked(webhook_id) as webhook:
            self.append(webhook, content)

    def fail(self, webhook_id: str, code: str = INTERNAL_ERROR) -> None:
        """Adds an error payload. It is the last one, unless the code is INTERNAL_ERROR."""
        with self._locked(webhook_id) as webhook:
            self.append(webhook, error_payload(code, 0))
            webhook.is_invalid = webhook.is_invalid or code != INTERNAL_ERROR

    def lose_payloads(self, webhook_id: str, before: int | None = None) -> None:
        """Deletes the payloads below this number, or all, as Airtable does after a week."""
        with self._locked(webhook_id) as webhook:
            while webhook.payloads and (before is None or webhook.payloads[0].number < before):
                webhook.payloads.popleft()

    def expire(self, webhook_id: str) -> None:
        with self._locked(webhook_id) as webhook:
            webhook.expires_at = min(webhook.expires_at, self.clock())

    def notify(self, webhook_id: str, times: int = 1) -> None:
        """Sends notifications at once, without a change. Their results are not stored."""
        with self._locked(webhook_id) as webhook:
            webhook.notification.extra += times
        self.wake()

    def append(self, webhook: Webhook, content: dict[str, Any]) -> None:
        """Adds a payload and schedules a notification. The caller holds the base's lock."""
        omitted = self.settings.omitted_keys
        sent = {name: value for name, value in content.items() if name not in omitted}
        webhook.append(sent, self.clock())
        if webhook.notifications_enabled:
            delay = self.clock.scaled_seconds(self.settings.notification_delay)
            if webhook.notification.schedule(self.clock() + delay):
                self.wake()

    @contextmanager
    def _locked(self, webhook_id: str) -> Iterator[Webhook]:
        webhook = self.get(webhook_id)
        with webhook.base.lock:
            yield webhook


class BaseWebhooks:
    """The webhooks of one base. Listens to the base while it has at least one webhook."""

    def __init__(self, registry: Webhooks, base: Base) -> None:
        self.registry = registry
        self.base = base
        self.webhooks: list[Webhook] = []

    def add(self, webhook: Webhook) -> None:
        if not self.webhooks:
            self.base.listeners.append(self.add_payloads)
        self.webhooks.append(webhook)

    def remove(self, webhook: Webhook) -> None:
        self.webhooks.remove(webhook)
        if not self.webhooks:
            self.base.listeners.remove(self.add_payloads)

    def readable(self) -> list[Webhook]:
        """Deletes the webhooks and payloads that are too old, and returns the rest."""
        oldest = self.registry.clock() - self.registry.settings.lifetime
        for webhook in [each for each in self.webhooks if each.expires_at <= oldest]:
            self.remove(webhook)
        for webhook in self.webhooks:
            webhook.purge(oldest)
        return list(self.webhooks)

    def add_payloads(self, transaction: Transaction) -> None:
        now = self.registry.clock()
        for webhook in self.readable():
            if webhook.is_active(now):
                self._add_payloads(webhook, transaction)

    def _add_payloads(self, webhook: Webhook, transaction: Transaction) -> None:
        if transaction.removes_schema and webhook.specification.missing(self.base):
            self.registry.append(webhook, error_payload(INVALID_HOOK, transaction.number))
            webhook.is_invalid = True
            return
        settings = self.registry.settings
        head = envelope(transaction, settings.payload_format)
        contents = payload_contents(
            transaction, webhook.specification, settings.records_per_payload
        )
        for content in contents:
            self.registry.append(webhook, head | content)
