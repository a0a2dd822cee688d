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
class Findings:
    """What a join found, besides the configs. Warnings about the mapping in this base come first,
    then those about the records of configs."""

    conflicts: list[Conflict] = field(default_factory=list)
    invalid: list[InvalidRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: int = 0  # contacts without a number or a client
    configs: int = 0


@dataclass
class Joined:
    """Of contacts, `configs` are by `contact_key`."""

    findings: Findings = field(default_factory=Findings)
    configs: dict[str, Config] = field(default_factory=dict)
