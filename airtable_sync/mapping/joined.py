"""What a join makes: a config for each called number, and what is wrong with records."""

from dataclasses import dataclass, field

from airtable_sync.cache.entry import Entry, Origin


@dataclass
class Config:
    """The config that one number's records make, with warnings about them. `records` are also those
    that a view or filter leaves out: when they enter, the config changes."""

    variables: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def entry(self, number: str, read_at: int, origin: Origin) -> Entry:
        return Entry(
            number,
            self.variables,
            read_at,
            origin,
            self.settings,
            tuple(self.records),
            tuple(self.warnings),
        )


@dataclass(frozen=True)
class Conflict:
    """Several records have the same called number. The first one, the oldest, is used."""

    number: str
    records: tuple[str, ...]

    def __str__(self) -> str:
        winner, *others = self.records
        return f"{self.number} is in {winner}, which is used, and again in {', '.join(others)}."


@dataclass(frozen=True)
class InvalidRecord:
    """A record with a called number that makes no config, and the reason. `records` are the record
    itself and those it links to."""

    record: str
    reason: str
    records: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.record}: {self.reason}"


@dataclass
class Joined:
    """`warnings` are about the mapping in this base, not about a record. Of contacts, `configs` are
    by `contact_key`."""

    configs: dict[str, Config] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    invalid: list[InvalidRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: int = 0  # contacts without a number or a client

    def all_warnings(self) -> list[str]:
        """Those about the mapping first."""
        configs = self.configs.values()
        return [*self.warnings, *(each for config in configs for each in config.warnings)]
