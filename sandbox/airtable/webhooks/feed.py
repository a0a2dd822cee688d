"""All webhooks of a sandbox, and the ways to spoil them."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.airtable.bases import Base
from sandbox.airtable.errors import invalid_request, not_found, too_many_webhooks
from sandbox.airtable.limits import Clock
from sandbox.airtable.transactions import Transaction
from sandbox.airtable.webhooks.clock import ScaledClock
from sandbox.airtable.webhooks.envelope import envelope, error_content
from sandbox.airtable.webhooks.hook import Webhook
from sandbox.airtable.webhooks.payloads import contents
from sandbox.airtable.webhooks.settings import WebhookSettings
from sandbox.airtable.webhooks.specification import Specification

INVALID_HOOK, INTERNAL_ERROR = "INVALID_HOOK", "INTERNAL_ERROR"


class Webhooks:
    """A base's lock guards its hooks. Methods that take a hook's id raise AirtableError (404) when
    there is none."""

    def __init__(self, clock: Clock, settings: WebhookSettings) -> None:
        self.settings = settings
        self.clock = ScaledClock(clock, settings.time_scale)
        self.wake: Callable[[], object] = _nobody_to_wake
        """Tells whoever sends the pings that one may be due."""
        self._feeds: dict[str, Feed] = {}
        clock.after_advance.append(self._advanced)

    def configure(self, **changes: Any) -> None:
        """Changes settings by name, from now on."""
        self.settings = dataclasses.replace(self.settings, **changes)
        self.clock.rescale(self.settings.time_scale)
        self.wake()

    def of(self, base: Base) -> list[Webhook]:
        """Those that can still be read; also those that expired lately or are invalid."""
        with base.lock:
            feed = self._feeds.get(base.id)
            return feed.readable() if feed else []

    def all(self) -> list[Webhook]:
        return [hook for feed in list(self._feeds.values()) for hook in self.of(feed.base)]

    def get(self, hook_id: str) -> Webhook:
        gone = self.clock() - self.settings.lifetime
        for feed in list(self._feeds.values()):
            for hook in list(feed.hooks):
                if hook.id == hook_id and hook.expires_at > gone:
                    return hook
        raise not_found()

    def create(self, base: Base, specification: Specification, url: str | None) -> Webhook:
        """Raises AirtableError when the base has too many, or lacks what is to be watched."""
        with base.lock:
            specification.check(base)
            if len(self.of(base)) >= self.settings.most_hooks:
                raise too_many_webhooks()
            expires_at = self.clock() + self.settings.lifetime
            hook = Webhook(base, specification, url, expires_at, notifications_enabled=bool(url))
            if base.id not in self._feeds:
                self._feeds[base.id] = Feed(self, base)
            self._feeds[base.id].add(hook)
            return hook

    def delete(self, hook_id: str) -> None:
        with self._changing(hook_id) as hook:
            self._feeds[hook.base.id].remove(hook)

    def extend(self, hook: Webhook) -> None:
        """Raises AirtableError when the hook expired or became invalid."""
        if not hook.is_active(self.clock()):
            raise invalid_request("The webhook is not active any more")
        hook.expires_at = self.clock() + self.settings.lifetime

    def enable_notifications(self, hook_id: str, *, enable: bool = True) -> None:
        """What happened before is not pinged for. Raises AirtableError without a URL."""
        with self._changing(hook_id) as hook:
            if enable and not hook.notification_url:
                raise invalid_request("The webhook has no notificationUrl")
            hook.notifications_enabled = enable
            hook.ping.forget()

    def add_payload(self, hook_id: str, content: dict[str, Any]) -> None:
        """A payload of any shape, as the next one."""
        with self._changing(hook_id) as hook:
            self.append(hook, content)

    def fail(self, hook_id: str, code: str = INTERNAL_ERROR) -> None:
        """An error payload. After INVALID_HOOK or INVALID_FILTERS the hook is told nothing more."""
        with self._changing(hook_id) as hook:
            self.append(hook, error_content(code, 0))
            hook.invalid = hook.invalid or code != INTERNAL_ERROR

    def lose_payloads(self, hook_id: str, before: int | None = None) -> None:
        """Those below this number, or all there are, as if a week had passed."""
        with self._changing(hook_id) as hook:
            while hook.payloads and (before is None or hook.payloads[0].number < before):
                hook.payloads.popleft()

    def expire(self, hook_id: str) -> None:
        with self._changing(hook_id) as hook:
            hook.expires_at = min(hook.expires_at, self.clock())

    def ping(self, hook_id: str, times: int = 1) -> None:
        """Pings for no reason, at once; their results are not noted."""
        with self._changing(hook_id) as hook:
            hook.ping.extra += times
        self.wake()

    def append(self, hook: Webhook, content: dict[str, Any]) -> None:
        """Under the base's lock."""
        omitted = self.settings.omitted_keys
        shown = {name: value for name, value in content.items() if name not in omitted}
        hook.append(shown, self.clock())
        if hook.notifications_enabled:
            delay = self.clock.scaled_seconds(self.settings.ping_delay)
            if hook.ping.want(self.clock() + delay):
                self.wake()

    def _advanced(self) -> None:
        self.wake()

    @contextmanager
    def _changing(self, hook_id: str) -> Iterator[Webhook]:
        hook = self.get(hook_id)
        with hook.base.lock:
            yield hook


class Feed:
    """The hooks of one base. Listens to the base while there is any."""

    def __init__(self, webhooks: Webhooks, base: Base) -> None:
        self.webhooks = webhooks
        self.base = base
        self.hooks: list[Webhook] = []

    def add(self, hook: Webhook) -> None:
        if not self.hooks:
            self.base.journal.listeners.append(self.tell)
        self.hooks.append(hook)

    def remove(self, hook: Webhook) -> None:
        self.hooks.remove(hook)
        if not self.hooks:
            self.base.journal.listeners.remove(self.tell)

    def readable(self) -> list[Webhook]:
        """Forgets what is too old, hooks and payloads."""
        oldest = self.webhooks.clock() - self.webhooks.settings.lifetime
        for hook in [each for each in self.hooks if each.expires_at <= oldest]:
            self.remove(hook)
        for hook in self.hooks:
            hook.purge(oldest)
        return list(self.hooks)

    def tell(self, transaction: Transaction) -> None:
        now = self.webhooks.clock()
        for hook in self.readable():
            if hook.is_active(now):
                self._tell(hook, transaction)

    def _tell(self, hook: Webhook, transaction: Transaction) -> None:
        if transaction.takes_away and hook.specification.missing(self.base):
            self.webhooks.append(hook, error_content(INVALID_HOOK, transaction.number))
            hook.invalid = True
            return
        settings = self.webhooks.settings
        head = envelope(transaction, settings.payload_format)
        for each in contents(transaction, hook.specification, settings.records_per_payload):
            self.webhooks.append(hook, head | each)


def _nobody_to_wake() -> None:
    pass
