"""The mapping that this deployment uses, and the called numbers that it serves."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.load import parse_mapping
from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.mapping.resolve import resolve
from airtable_sync.mapping.schema import Mapping, MappingError
from airtable_sync.mapping.source import MappingSource


class ActiveMapping:
    """Every attribute raises MappingError if the mapping can't be used. It never changes: a new
    version is another object."""

    def __init__(self, source: MappingSource, to_numbers: Sequence[str] = ()) -> None:
        self.source = source
        self._to_numbers = to_numbers

    @cached_property
    def mapping(self) -> Mapping:
        return parse_mapping(self.source.text(), self.source.name)

    def in_base(self, base: KnownBase) -> Mapping:
        """The mapping with the names that this base has now."""
        return resolve(self.mapping, base)

    @cached_property
    def has_callers(self) -> bool:
        """Whether answers say who is calling. False if the mapping can't be used."""
        try:
            return self.mapping.callers is not None
        except MappingError:
            return False

    @cached_property
    def region(self) -> str:
        """The country of numbers without a country code (ISO 3166), "" for none."""
        return self.mapping.region

    @cached_property
    def served_numbers(self) -> frozenset[str] | None:
        """`TO_NUMBERS` in E.164. None if all numbers of the base are served."""
        if not self._to_numbers:
            return None
        numbers = (to_e164(text, self.region) for text in self._to_numbers)
        return frozenset(number for number in numbers if number)

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the mapping and with `TO_NUMBERS`: sets with different fingerprints can't be
        compared."""
        content = self.source.text().encode()
        content += repr(sorted(self.served_numbers or ())).encode()
        return hashlib.sha256(content).hexdigest()[:16]

    def description_and_fingerprint(self) -> tuple[str, str]:
        """For operators, and for comparisons. The fingerprint is "" if the mapping can't be used.
        Never raises."""
        served = f" and {len(self._to_numbers)} TO_NUMBERS" if self._to_numbers else ""
        try:
            _ = self.mapping
            return f"{Path(self.source.name).name}{served}", self.fingerprint
        except MappingError:
            return f"{Path(self.source.name).name}, which can't be used", ""

    def is_served(self, number: str) -> bool:
        """Whether calls of this number are answered from Airtable."""
        served = self.served_numbers
        return served is None or number in served

    def number(self, text: str) -> str | None:
        """The number in E.164. None if the text is not a telephone number."""
        return to_e164(text, self.region)
