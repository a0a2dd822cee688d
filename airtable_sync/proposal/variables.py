"""Which fields of a section become variables, which are settings of the number, and which are left
out."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from airtable_sync.mapping.names import snake_case
from airtable_sync.proposal.base import ATTACHMENTS, LINK, Field
from airtable_sync.proposal.hints import is_private
from airtable_sync.proposal.sections import Section, field_place

# Of the settings that the mapping knows, those that no variable is called by chance.
SETTINGS = (
    "preferred_agent_id",
    "agent_id",
    "agent_version",
    "squad_id",
    "voice_id",
    "branch_id",
    "twilio_connect_url",
)
_SAME_SETTING = {"preferred_agent_id": "agent_id"}
# What only Airtable and its users need, and what no agent can say.
_NOT_TOLD = frozenset(
    {
        ATTACHMENTS,
        LINK,
        "autoNumber",
        "button",
        "createdBy",
        "createdTime",
        "externalSyncSource",
        "lastModifiedBy",
        "lastModifiedTime",
    }
)


def choose_variables(
    root: Section,
    number_fields: Iterable[Field],
    without: AbstractSet[tuple[str, str]] = frozenset(),
    included: AbstractSet[tuple[str, str]] = frozenset(),
) -> None:
    """Fill `variables` and `settings` of every section, and remove the sections without any.
    As (table, field), `without` are fields that a person left out, and `included` those that become
    variables even if they may be private."""
    taken: set[str] = set()
    names = {each.name for each in number_fields}
    for section in root.all():
        if not section.pairs:
            chosen = {field for table, field in without if table == section.table.name}
            wanted = {field for table, field in included if table == section.table.name}
            _choose(section, chosen | (names if section is root else set()), wanted, taken)
    _prune(root)


def left_out(section: Section, number_field: str) -> list[Field]:
    """The fields that are nothing in the mapping."""
    used = {number_field, *(each.link.name for each in section.links if each.link)}
    used |= {each.name for each in (*section.variables, *section.settings.values())}
    return [each for each in section.table.fields if each.name not in used]


def _choose(section: Section, without: set[str], included: set[str], taken: set[str]) -> None:
    for each in section.table.fields:
        if each.name in without or _is_not_told(each):
            continue
        if is_private(each.name) and each.name not in included:
            section.private.append(each)
            section.undecided.append(
                f"{field_place(section.table, each)} may be private: it is left out."
            )
        elif (setting := _setting(each, taken)) and not section.many:
            section.settings[setting] = each
            taken.add(_SAME_SETTING.get(setting, setting))
        else:
            section.variables.append(each)


def _is_not_told(field: Field) -> bool:
    return field.type in _NOT_TOLD or field.result_type in (LINK, ATTACHMENTS)


def _setting(field: Field, taken: set[str]) -> str:
    """The setting that the field is called as; "" if none, or if an earlier field is it."""
    name = snake_case(field.name)
    is_free = name in SETTINGS and _SAME_SETTING.get(name, name) not in taken
    return name if is_free else ""


def _prune(section: Section) -> None:
    for each in section.links:
        _prune(each)
    section.links = [each for each in section.links if each.is_useful]
