"""What `check_cache` compares with the platforms that are set up: the settings that the mapping
reads, and the names, the number and the length of variables."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from django.db import DatabaseError

from airtable_sync.management.known_entries import known_entries
from airtable_sync.management.redis_checks import Check, CheckWarning
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.platform_rules import PlatformRules
from airtable_sync.mapping.schema import Mapping
from airtable_sync.mapping.sections import Sections
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services

CONFIGS_READ = 2000  # whose variables are looked at
NAMES_SHOWN = 5


@dataclass
class _Variables:
    """Of all configs together: the names, each with the most characters of a value, and the most
    variables of one config."""

    longest: dict[str, int] = field(default_factory=dict)
    most: int = 0

    def add(self, config: Iterable[tuple[str, str]]) -> None:
        count = 0
        for name, text in config:
            self.longest[name] = max(self.longest.get(name, 0), len(text))
            count += 1
        self.most = max(self.most, count)


class PlatformChecks:
    """`rules` are those of all platforms. Each problem is reported once, not for each number."""

    def __init__(self, used: Services, rules: Sequence[PlatformRules]) -> None:
        self._used = used
        self._rules = rules
        self._set_up = [each for each in rules if each.is_set_up]

    def all(self) -> list[Check]:
        """None without a platform: `manage.py check` reports that."""
        if not self._set_up:
            return []
        return [
            Check("mapping settings", self._settings),
            Check("mapping variables", self._variables),
        ]

    def _settings(self) -> str:
        mapping, base = self._in_base()
        read = _settings_of(mapping, base)
        used = frozenset().union(*(each.settings for each in self._set_up))
        if unused := [name for name in read if name not in used]:
            raise CheckWarning(" ".join(map(self._unused, unused)))
        return f"{', '.join(read)}: each is used by a platform" if read else "none"

    def _unused(self, setting: str) -> str:
        """A sentence."""
        others = [each.platform for each in self._rules if setting in each.settings]
        remedy = (
            f"Only {', '.join(others)} would: set up one of them, or remove it" if others else ""
        )
        return (
            f"The mapping reads the setting {setting}, but no platform that is set up "
            f"({', '.join(each.platform for each in self._set_up)}) uses it. "
            f"{remedy or 'Remove it'} from the mapping."
        )

    def _variables(self) -> str:
        mapping, base = self._in_base()
        variables = self._all_variables(mapping, base)
        sentences = [text for each in self._set_up for text in _problems(each, variables)]
        if sentences:
            written = 'names = "snake_case" under [format] in the mapping'
            rename = "rename the variables that are named"
            remedy = rename if mapping.names else f"set {written}, or {rename}"
            raise CheckWarning(f"{' '.join(sentences)} To change that, {remedy}.")
        return f"{len(variables.longest)} variables, every platform can use their names"

    def _in_base(self) -> tuple[Mapping, KnownBase]:
        base = self._used.command_schema.known()
        return self._used.active_mapping.in_base(base), base

    def _all_variables(self, mapping: Mapping, base: KnownBase) -> _Variables:
        """Those that the mapping names, and those of the configs: only these have the names that
        come from cells, and the values."""
        found = _Variables()
        defaults = self._used.configuration.default_variables
        callers = Sections(mapping.of_callers(), base).blank_variables() if mapping.callers else {}
        known = {**Sections(mapping.of_numbers(), base).blank_variables(), **defaults, **callers}
        found.add(known.items())
        for config in self._configs():
            found.add({**config, **callers}.items())
        return found

    def _configs(self) -> Iterator[dict[str, str]]:
        try:
            for entry in islice(known_entries(self._used), CONFIGS_READ):
                yield entry.config or {}
        except (CacheUnavailable, DatabaseError):
            return  # an earlier check says why


def _settings_of(mapping: Mapping, base: KnownBase) -> list[str]:
    """The settings whose fields the base has."""
    found = {
        setting
        for node in mapping.of_numbers().nodes()
        for setting, name in node.settings
        if name in base.fields.get(node.table, {})
    }
    return sorted(found)


def _problems(rules: PlatformRules, variables: _Variables) -> Iterator[str]:
    """One sentence for each rule of the platform that is broken."""
    platform, longest = rules.platform, variables.longest
    if unusable := [name for name in longest if not rules.can_use(name)]:
        yield f"{platform} can't use {_shown(unusable)}: a name has {rules.names}."
    limit = rules.max_characters
    if limit and (too_long := [name for name, length in longest.items() if length > limit]):
        yield f"{platform} leaves out values of over {limit:,} characters: {_shown(too_long)}."
    if rules.max_variables and variables.most > rules.max_variables:
        yield f"{platform} reads {rules.max_variables} of {variables.most} variables."


def _shown(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
