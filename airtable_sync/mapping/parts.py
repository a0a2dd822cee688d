"""The two parts of a mapping: what makes the configs of called numbers, and what makes contacts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.schema import Mapping


@dataclass(frozen=True)
class Part:
    """`of` returns the part as a mapping of its own; without sections if the mapping lacks it."""

    of: Callable[[Mapping], Mapping]
    all_are_served: bool  # TO_NUMBERS is about called numbers

    def served(self, keys: Iterable[str], active_mapping: ActiveMapping) -> list[str]:
        return [each for each in keys if self.all_are_served or active_mapping.is_served(each)]


NUMBERS = Part(Mapping.of_numbers, all_are_served=False)
CONTACTS = Part(Mapping.of_callers, all_are_served=True)
