"""Which records are in use: a view or a filter that the file suggests as a comment. Only people
know whether the others must not be served."""

from collections import Counter

from airtable_sync.proposal.base import Field, InspectedBase, Table
from airtable_sync.proposal.hints import is_status, means_in_use
from airtable_sync.proposal.toml_text import quoted

SELECT, CHECKBOX = "singleSelect", "checkbox"


def suggestions(base: InspectedBase, table: Table) -> list[str]:
    """Lines of the mapping: `view = "Live"`, `filter = "{Status} = 'Active'"`."""
    views = [f"view = {quoted(view)}" for view in table.views if means_in_use(view)]
    formulas = [formula for each in table.fields if (formula := _formula(base, table, each))]
    return [*views[:1], *(f"filter = {quoted(formula)}" for formula in formulas[:1])]


def _formula(base: InspectedBase, table: Table, field: Field) -> str:
    if any(sign in field.name for sign in "{}\\"):
        return ""
    if field.type == CHECKBOX and means_in_use(field.name):
        return f"{{{field.name}}}"
    if field.type != SELECT or not is_status(field.name):
        return ""
    choice = _choice(base, table, field)
    escaped = choice.replace("\\", "\\\\").replace("'", "\\'")
    return f"{{{field.name}}} = '{escaped}'" if choice else ""


def _choice(base: InspectedBase, table: Table, field: Field) -> str:
    """The one that means "in use", otherwise the most frequent."""
    in_use = [choice for choice in field.choices if means_in_use(choice)]
    frequent = [text for text, _ in Counter(base.texts(table, field)).most_common(1)]
    return next(iter([*in_use, *frequent, *field.choices]), "")
