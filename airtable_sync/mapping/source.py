"""Where the mapping in force comes from: a file, or a version that was saved in the admin."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from airtable_sync.mapping.load import read_text

SHIPPED = Path(__file__).with_name("shipped")
DEFAULT = SHIPPED / "siftly.toml"  # where neither AIRTABLE_MAPPING nor a saved version exists


class MappingSource(Protocol):
    """`name` is for messages. `generation` keeps the cached sets of two saved mappings apart; ""
    for a file's."""

    @property
    def name(self) -> str: ...

    @property
    def generation(self) -> str: ...

    def text(self) -> str:
        """The TOML. Raises MappingError."""
        ...


@dataclass(frozen=True)
class FileSource:
    path: str
    generation: str = ""

    @property
    def name(self) -> str:
        return self.path

    def text(self) -> str:
        return read_text(self.path)


@dataclass(frozen=True)
class SavedSource:
    """A saved version; `number` is 0 for one that is not in force yet."""

    number: int
    generation: str
    toml: str = field(repr=False)

    @property
    def name(self) -> str:
        return f"version {self.number}" if self.number else "the new mapping"

    def text(self) -> str:
        return self.toml


def description(source: MappingSource) -> str:
    """For operators, as the start of a sentence."""
    if source.generation:
        name = source.name
        return f"{name[0].upper()}{name[1:]}, saved in the database"
    path = Path(source.name)
    if path.parent == SHIPPED:
        return f"The mapping {path.stem}, which Siftly has"
    return f"The file {source.name}"
