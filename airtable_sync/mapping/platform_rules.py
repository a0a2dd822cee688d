"""What the voice platforms take of a config. `webhooks`, which knows the platforms, provides it
(`AirtableSyncConfig.platform_rules`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class PlatformRules:
    """`settings` are those that the platform's answers use. `can_use` says whether its agents can
    use a variable of this name, `names` describes such names in words. `max_variables` and
    `max_characters` (of a value) are None where the platform documents no limit."""

    platform: str
    is_set_up: bool
    settings: frozenset[str]
    names: str
    can_use: Callable[[str], bool]
    max_variables: int | None = None
    max_characters: int | None = None


class PlatformRulesSource(Protocol):
    def rules(self) -> Sequence[PlatformRules]:
        """Of every platform."""
        ...


class NoPlatformRules:
    def rules(self) -> Sequence[PlatformRules]:
        return ()
