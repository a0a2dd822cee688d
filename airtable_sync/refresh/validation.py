"""The sanity gate: what makes no sense as a whole is refused, and the last good set is kept."""

import logging

from django.conf import settings

from airtable_sync.airtable.base_reader import Reading
from airtable_sync.airtable.client import Airtable, Schema
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.redis_store import PATIENT
from airtable_sync.mapping import base_schema
from airtable_sync.mapping.join import Joined
from airtable_sync.mapping.schema import Mapping

logger = logging.getLogger(__name__)


class RefreshRejected(Exception):
    """What was read makes no sense as a whole; the message says why."""


class FieldsChangedWhileReading(Exception):
    """A field was renamed or removed while its table was read: some records have it, some not."""


def check_shape(mapping: Mapping, reading: Reading, airtable: Airtable) -> None:
    """Where a column looks empty or fades, compare with the base's schema, which tells an empty
    column from one that is gone: one request, and only then. Raises RefreshRejected and FieldsChangedWhileReading."""
    unseen = reading.unseen(mapping)
    if not unseen and not reading.may_be_torn():
        return
    try:
        schema = airtable.schema()
    except AirtableError as error:
        logger.warning("The base's schema can't be read: %s", error)
        _refuse_known(unseen)
        return
    refuse_missing(mapping, schema)
    gone = [
        f"{table}.{name}"
        for table, names in reading.seen.items()
        for name in names
        if name not in schema.fields.get(table, ())
    ]
    if gone:
        raise FieldsChangedWhileReading(
            f"{', '.join(gone)} was renamed or removed while the base was read."
        )


def _refuse_known(unseen: list[str]) -> None:
    """Fields that had values before, and now no record has: better to be wrong about an empty
    column than about one that is gone."""
    known = {
        f"{table}.{name}" for table, names in base_schema.known(PATIENT).items() for name in names
    }
    if gone := [name for name in unseen if name in known]:
        raise RefreshRejected(
            f"no record has {', '.join(gone)} any more, and without the schema (scope "
            "schema.bases:read) nobody can tell whether the field is empty or gone."
        )


def refuse_missing(mapping: Mapping, schema: Schema) -> None:
    """Raises RefreshRejected."""
    if missing := base_schema.missing(mapping, schema):
        raise RefreshRejected(f"the mapping does not fit the base: {'; '.join(missing)}.")


def explain(error: AirtableError, mapping: Mapping, airtable: Airtable) -> None:
    """Airtable refused to read: because a table or field is not called so any more? Raises RefreshRejected
    if that is why."""
    try:
        schema = airtable.schema()
    except AirtableError:
        if "UNKNOWN_FIELD_NAME" in str(error):
            raise RefreshRejected(f"the mapping does not fit the base: {error}") from error
        return  # the first error says more
    try:
        refuse_missing(mapping, schema)
    except RefreshRejected as refusal:
        raise refusal from error


def check_numbers(joined: Joined, numbers: int, before: int) -> None:
    """`before` is how many numbers the last good set had; 0 if there is none. Raises RefreshRejected."""
    if not numbers:
        raise RefreshRejected("no number in Airtable has a config.")
    smallest = settings.REFRESH_MIN_SHARE * before
    if numbers < before - 1 and numbers < smallest:  # a single number may always go
        raise RefreshRejected(
            f"Airtable has {numbers} numbers, the last good set had {before}: "
            f"less than {settings.REFRESH_MIN_SHARE:.0%} (REFRESH_MIN_SHARE)."
        )
    conflicts = len(joined.conflicts)
    if conflicts > 2 and conflicts > settings.REFRESH_MAX_CONFLICT_SHARE * numbers:
        raise RefreshRejected(
            f"{conflicts} of {numbers} numbers are in several records: "
            f"more than {settings.REFRESH_MAX_CONFLICT_SHARE:.0%} (REFRESH_MAX_CONFLICT_SHARE)."
        )
