"""Previews of an answer in the format of each platform. `webhooks`, which knows the platforms,
provides them (`AirtableSyncConfig.platform_previews`)."""

from dataclasses import dataclass
from typing import Protocol

from airtable_sync.lookup.answer import Answer


@dataclass(frozen=True)
class PlatformPreview:
    """The body of a response in a platform's format."""

    platform: str
    text: str


class PlatformPreviews(Protocol):
    def platforms(self) -> tuple[str, ...]:
        """The platforms that have a secret."""
        ...

    def preview(self, answer: Answer) -> list[PlatformPreview]: ...


class NoPlatformPreviews:
    def platforms(self) -> tuple[str, ...]:
        return ()

    def preview(self, answer: Answer) -> list[PlatformPreview]:
        del answer
        return []
