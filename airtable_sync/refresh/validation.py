"""Validation: the checks that a set must pass before it is published. A set that fails is rejected,
and the last published set stays."""

import math
from collections.abc import Callable

from airtable_sync.airtable.base_reader import Reading
from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import AirtableError, InvalidFilter
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.records import BaseTables
from airtable_sync.mapping.resolve import missing_in_base
from airtable_sync.mapping.schema import Mapping
from airtable_sync.refresh.report import Figure, Report

CONFLICTS_ALWAYS_ALLOWED = 2


class RefreshRejected(Exception):
    """The set failed validation, or publishing is paused. The message says why, and `rule` has the
    figures. `report` is what the set would change, if it was read."""

    def __init__(self, message: str, *rule: tuple[str, object]) -> None:
        super().__init__(message)
        self.rule = tuple(Figure(name, str(value)) for name, value in rule)
        self.report: Report | None = None


class FieldsChangedWhileReading(Exception):
    """A field was renamed or removed while its table was read: some records have it, some not."""


class Validation:
    def __init__(
        self, base_schema: BaseSchema, *, min_share: float, max_conflict_share: float
    ) -> None:
        self._base_schema = base_schema
        self._min_share = min_share
        self._max_conflict_share = max_conflict_share

    def check_fields(
        self,
        mapping: Mapping,
        reading: Reading,
        before: BaseTables | None,
        read_schema: Callable[[], BaseTables | None],
    ) -> None:
        """If a column looks empty, or new, compare with the base's schema, which tells an empty
        column from a deleted one. `read_schema` is called only then; None if it can't be read.
        `before` is the schema when reading began. Raises RefreshRejected and
        FieldsChangedWhileReading."""
        unseen = reading.unseen_fields(mapping, may_be_asked_for=before is None)
        if not unseen and not reading.may_have_changed() and not _has_new_fields(reading, before):
            return
        tables = read_schema()
        if tables is None:
            self._reject_known_fields(unseen)
            return
        reject_missing(mapping, tables)
        gone = [
            f"{table}.{name}"
            for table, names in reading.seen.items()
            for name in names
            if name not in tables.fields.get(table, ())
        ]
        if gone:
            raise FieldsChangedWhileReading(
                f"{', '.join(gone)} was renamed or removed while the base was read."
            )

    def check_numbers(self, conflicts: int, numbers: int, before: int) -> None:
        """`conflicts` are numbers in several records; `before` is the count of the published set, 0
        if there is none. Raises RefreshRejected."""
        if not numbers:
            raise RefreshRejected(
                "no number in Airtable has a config.",
                ("Published numbers", f"{before:,}"),
                ("Numbers in Airtable", 0),
            )
        smallest = self._min_share * before
        if numbers < before - 1 and numbers < smallest:  # one number may always be removed
            raise RefreshRejected(
                f"Airtable has {numbers} numbers, the last published set had {before}: "
                f"less than {self._min_share:.0%} (REFRESH_MIN_SHARE).",
                ("Published numbers", f"{before:,}"),
                ("Numbers in Airtable", f"{numbers:,}"),
                (f"At least {self._min_share:.0%} (REFRESH_MIN_SHARE)", f"{math.ceil(smallest):,}"),
            )
        largest = self._max_conflict_share * numbers
        if conflicts > CONFLICTS_ALWAYS_ALLOWED and conflicts > largest:
            raise RefreshRejected(
                f"{conflicts} of {numbers} numbers are in several records: "
                f"more than {self._max_conflict_share:.0%} (REFRESH_MAX_CONFLICT_SHARE).",
                ("Numbers in Airtable", f"{numbers:,}"),
                ("Numbers in several records", f"{conflicts:,}"),
                (
                    f"At most {self._max_conflict_share:.0%} (REFRESH_MAX_CONFLICT_SHARE)",
                    f"{max(CONFLICTS_ALWAYS_ALLOWED, math.floor(largest)):,}",
                ),
            )

    def check_contacts(self, contacts: int, before: int) -> None:
        """`before` as for `check_numbers`. Raises RefreshRejected."""
        if contacts < before - 1 and contacts < self._min_share * before:
            raise RefreshRejected(
                f"Airtable has {contacts} contacts, the last published set had {before}: "
                f"less than {self._min_share:.0%} (REFRESH_MIN_SHARE).",
                ("Published contacts", f"{before:,}"),
                ("Contacts in Airtable", f"{contacts:,}"),
                (
                    f"At least {self._min_share:.0%} (REFRESH_MIN_SHARE)",
                    f"{math.ceil(self._min_share * before):,}",
                ),
            )

    def _reject_known_fields(self, unseen: list[str]) -> None:
        """Fields that had values before, and now no record has them. Without the schema the safe
        assumption is that they were deleted."""
        fields = self._base_schema.fields_by_table()
        known = {f"{table}.{name}" for table, names in fields.items() for name in names}
        if gone := [name for name in unseen if name in known]:
            raise RefreshRejected(
                f"no record has {', '.join(gone)} any more. Without the scope "
                "schema.bases:read, an empty field can't be told from a deleted one."
            )


def _has_new_fields(reading: Reading, before: BaseTables | None) -> bool:
    return before is not None and any(
        name not in before.fields.get(table, ())
        for table, names in reading.seen.items()
        for name in names
    )


def reject_missing(mapping: Mapping, tables: BaseTables) -> None:
    """Raises RefreshRejected."""
    if missing := missing_in_base(mapping, tables):
        raise RefreshRejected(f"the mapping does not fit the base: {'; '.join(missing)}.")


def reject_if_misfit(error: AirtableError, mapping: Mapping, client: AirtableClient) -> None:
    """Reading failed. Raises RefreshRejected if the reason is a wrong filter, or a table or field
    that was renamed or deleted."""
    if isinstance(error, InvalidFilter):
        places = [f"[{node.place}]" for node in mapping.nodes() if node.filter]
        raise RefreshRejected(f"a filter of {', '.join(places)} is wrong: {error}") from error
    try:
        tables = client.read_tables()
    except AirtableError:
        if "UNKNOWN_FIELD_NAME" in str(error):
            raise RefreshRejected(f"the mapping does not fit the base: {error}") from error
        return  # the first error says more
    try:
        reject_missing(mapping, tables)
    except RefreshRejected as rejected:
        raise rejected from error
