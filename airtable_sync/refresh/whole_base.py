"""Reads a whole base with its schema, for a refresh."""

import logging
from contextlib import suppress
from dataclasses import dataclass

from airtable_sync.airtable.base_reader import Progress, Reading, read_all
from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import TEMPORARY, AirtableError
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.records import BaseTables
from airtable_sync.mapping.schema import Mapping
from airtable_sync.mapping.stored_records import StoredRecords
from airtable_sync.refresh.validation import (
    FieldsChangedWhileReading,
    RefreshRejected,
    Validation,
    reject_if_misfit,
    reject_missing,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadOptions:
    validate: bool
    in_parallel: bool  # all tables at once
    schema_is_current: bool  # the stored one, if it is not outdated
    may_store: bool  # what the base's fields are


@dataclass
class WholeBase:
    """For one refresh."""

    active_mapping: ActiveMapping
    base_schema: BaseSchema
    validation: Validation
    client: AirtableClient
    progress: Progress
    options: ReadOptions
    # Of a set that was read completely: what it would change can be shown.
    rejection: RefreshRejected | None = None
    _schema: BaseTables | None = None
    _schema_is_denied: bool = False

    def read(self) -> tuple[StoredRecords, KnownBase]:
        """The caller closes the records, and looks at `rejection`. Reads a second time if a field
        was renamed during the first. Raises AirtableError, MappingError and RefreshRejected;
        sqlite3.Error if the disk is full."""
        with suppress(FieldsChangedWhileReading):
            return self._read_once()
        try:
            return self._read_once()
        except FieldsChangedWhileReading as error:
            raise RefreshRejected(str(error)) from error

    def _read_once(self) -> tuple[StoredRecords, KnownBase]:
        """The schema, then all records. Raises FieldsChangedWhileReading."""
        self.rejection = None
        tables = self._schema = self._read_schema_first()
        if tables and self.options.validate:
            reject_missing(self.active_mapping.mapping, tables)
        base = tables.known() if tables else self.base_schema.known()
        mapping = self.active_mapping.in_base(base)
        records = StoredRecords(mapping.sources(), mapping.linked_sources())
        try:
            reading = self._read_records(mapping, records)
            if self.options.validate:
                self._check_fields(mapping, reading, tables)
            base = self._known_base(reading)
            self._require_all(records, base)
        except BaseException:
            records.close()
            raise
        return records, base

    def _check_fields(self, mapping: Mapping, reading: Reading, tables: BaseTables | None) -> None:
        try:
            self.validation.check_fields(mapping, reading, tables, self._read_schema)
        except RefreshRejected as error:
            self.rejection = error

    def _require_all(self, records: StoredRecords, base: KnownBase) -> None:
        """The mapping may name tables by id, and their names may have changed since."""
        if not records.has(self.active_mapping.in_base(base).sources()):
            raise FieldsChangedWhileReading("A table was renamed while the base was read.")

    def _read_records(self, mapping: Mapping, records: StoredRecords) -> Reading:
        try:
            in_parallel = self.options.in_parallel
            return read_all(mapping, self.client, records, self.progress, in_parallel=in_parallel)
        except AirtableError as error:
            if not isinstance(error, TEMPORARY) and self.options.validate:
                reject_if_misfit(error, mapping, self.client)
            raise

    def _read_schema_first(self) -> BaseTables | None:
        """None if it can't be read, or need not be: then the stored one counts."""
        if self.options.schema_is_current and not self.base_schema.is_outdated():
            return None
        return self._read_schema()

    def _read_schema(self) -> BaseTables | None:
        """None if it can't be read; then it is not tried a second time."""
        if self._schema_is_denied:
            return None
        try:
            tables = self.client.read_tables()
        except AirtableError as error:
            logger.warning("The base's schema can't be read: %s", error)
            self._schema_is_denied = True
            return None
        if self.options.may_store:
            self.base_schema.store_tables(tables)
        return tables

    def _known_base(self, reading: Reading) -> KnownBase:
        """Also the fields that only records have: without the schema they are all that is known."""
        if self.options.may_store:
            return self.base_schema.add_seen_fields(reading.seen)
        known = self._schema.known() if self._schema else self.base_schema.known()
        return known.with_fields(reading.seen)
