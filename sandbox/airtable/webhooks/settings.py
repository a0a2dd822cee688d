"""The settings of a sandbox's webhooks."""

from dataclasses import dataclass, fields
from typing import Any

DAY = 86_400.0


@dataclass(frozen=True)
class WebhookSettings:
    """`lifetime` and `first_retry` are scaled: `time_scale` of their seconds pass in a real one.

    `notification_delay` and `notification_timeout` are real seconds.
    """

    time_scale: float = 1.0
    lifetime: float = 7 * DAY
    """How long a webhook lives, how long it is readable after that, and how long payloads stay."""
    max_webhooks: int = 10
    """Per base."""

    notification_delay: float = 0.2
    """From the first change to the notification, which covers all changes until it is sent."""
    notification_timeout: float = 25.0
    notification_retries: int = 13
    first_retry: float = 10.0
    """The wait before the first retry. It doubles with each further retry."""
    drop_notifications: bool = False
    """Notifications are not sent, and their results are not stored."""

    records_per_payload: int = 50
    """A transaction with more records is split into several payloads."""
    payload_format: str = "v0"
    omitted_keys: tuple[str, ...] = ()
    """Keys that new payloads lack."""
    invalid_webhooks_look_enabled: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError with a message for the user."""
        for field in fields(self):
            if not _is_valid(getattr(self, field.name), field.default):
                raise ValueError(f"{field.name} has the wrong type or is below 0")
        if not self.time_scale:
            raise ValueError("time_scale must be above 0")


NAMES = frozenset(field.name for field in fields(WebhookSettings))


def changes_from_json(values: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError with a message for the user."""
    if unknown := sorted(values.keys() - NAMES):
        raise ValueError(f"unknown keys: {', '.join(unknown)}. Use {', '.join(sorted(NAMES))}")
    if isinstance(keys := values.get("omitted_keys"), list):
        return values | {"omitted_keys": tuple(keys)}
    return values


def _is_valid(value: Any, default: Any) -> bool:
    if isinstance(default, float):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and 0 <= value < 1e9
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    return type(value) is type(default) and (not isinstance(value, int) or value >= 0)
