"""What can be set about the change feed of a sandbox."""

from dataclasses import dataclass, fields
from typing import Any

DAY = 86_400.0


@dataclass(frozen=True)
class WebhookSettings:
    """With a time_scale of 3600 a second is an hour of what Airtable measures in its seconds:
    expiry, purge and retries. The delay and the limit of a ping are seconds as they pass."""

    time_scale: float = 1.0
    lifetime: float = 7 * DAY
    """Airtable's seconds a hook lives, can be read after that, and its payloads are kept."""
    most_hooks: int = 10
    """In one base."""

    ping_delay: float = 0.2
    """From the first change of a burst to its ping."""
    ping_timeout: float = 25.0
    ping_retries: int = 13
    first_retry: float = 10.0
    """Airtable's seconds; each further retry waits twice as long."""
    drop_pings: bool = False
    """Pings get lost on their way: neither sent nor noted nor tried again."""

    records_per_payload: int = 50
    """An action that touches more is told in several."""
    payload_format: str = "v0"
    omitted_keys: tuple[str, ...] = ()
    """Left out of every new payload."""
    invalid_hooks_look_enabled: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence for the person who typed it."""
        for field in fields(self):
            if not _fits(getattr(self, field.name), field.default):
                raise ValueError(f"{field.name} has a wrong type or is below 0")
        if not self.time_scale:
            raise ValueError("time_scale is above 0")


KNOWN = frozenset(field.name for field in fields(WebhookSettings))


def changes_from_json(wanted: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError with a sentence for the person who typed it."""
    if unknown := sorted(wanted.keys() - KNOWN):
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(KNOWN))}")
    if isinstance(keys := wanted.get("omitted_keys"), list):
        return wanted | {"omitted_keys": tuple(keys)}
    return wanted


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, float):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and 0 <= value < 1e9
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    return type(value) is type(default) and (not isinstance(value, int) or value >= 0)
