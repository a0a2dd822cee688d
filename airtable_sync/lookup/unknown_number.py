"""The config that an agent gets for a number that Airtable does not have."""

from collections.abc import Collection, Mapping

from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.schema import MappingError
from airtable_sync.mapping.sections import Sections


class UnknownNumber:
    """The names of all variables, so that no agent reads out `{{customer_name}}`; then the
    mapping's defaults, then `DEFAULT_VARIABLES`. Calls only look at `variables`, and at
    `caller_variables` for an unknown caller, None if callers are not looked up."""

    def __init__(
        self,
        active_mapping: ActiveMapping,
        base_schema: BaseSchema,
        default_variables: Mapping[str, str],
    ) -> None:
        self._active_mapping, self._base_schema = active_mapping, base_schema
        self._default_variables = default_variables
        self.variables: Mapping[str, str] = default_variables
        self.caller_variables: Mapping[str, str] | None = None
        self._base: KnownBase | None = None  # that the variables are of

    def reload(self, _numbers: Collection[str] = ()) -> None:
        """Called when numbers have changed: the schema may have changed too. One command."""
        base = self._base_schema.known()
        if base == self._base:
            return
        self._base = base
        try:
            mapping = self._active_mapping.in_base(base)
        except MappingError:
            return  # `check` says why
        blank = Sections(mapping.of_numbers(), base).blank_variables()
        self.variables = {**blank, **self._default_variables}
        if mapping.callers:
            self.caller_variables = Sections(mapping.of_callers(), base).blank_variables()
