"""Variable names: snake_case, and a prefix where two sections would have the same names."""

from collections import Counter
from collections.abc import Callable, Iterator

from airtable_sync.mapping.formatting import text_of
from airtable_sync.mapping.names import snake_case
from airtable_sync.proposal.base import Field, InspectedBase
from airtable_sync.proposal.sections import Section

Rename = Callable[[str], str]


def needs_snake_case(root: Section) -> bool:
    """Whether a variable would have a blank or a capital in its name."""
    names = (each.name for section in root.all() for each in section.variables)
    return any(letter.isspace() or letter.isupper() for name in names for letter in name)


def name_variables(base: InspectedBase, root: Section, *, in_snake_case: bool) -> None:
    """Set `renamed` and `prefix` of the sections, so that no two variables have one name."""
    rename: Rename = snake_case if in_snake_case else str
    tables = Counter(each.table.id for each in root.all() if each.variables)
    taken: set[str] = set()
    for section in root.all():
        _rename_twins(section, rename)
        if tables[section.table.id] > 1:
            section.prefix = _free_prefix(section, rename, taken)
        elif _names(section, rename) & taken:
            _part(base, section, rename, taken)
        taken |= _names(section, rename)


def _part(base: InspectedBase, section: Section, rename: Rename, taken: set[str]) -> None:
    """Leave a label out if only that has a name twice; otherwise set a prefix."""
    label = section.table.primary
    rest = [each for each in section.variables if each != label]
    others = {_name(section, each, rename) for each in rest}
    if label in section.variables and not others & taken and _repeats_parent(base, section):
        section.variables = rest
    else:
        section.prefix = _free_prefix(section, rename, taken)


def _repeats_parent(base: InspectedBase, section: Section) -> bool:
    """Whether each record's primary field contains that of the record that links to it, as in
    "John Doe" and "John Doe variables"."""
    labels = list(_labels(base, section))
    return bool(labels) and all(above and above in below for above, below in labels)


def _labels(base: InspectedBase, section: Section) -> Iterator[tuple[str, str]]:
    """The primary fields' texts of linked records: above and below the link."""
    parent, link, label = section.parent, section.link, section.table.primary
    if not parent or not link or not label or not parent.table.primary:
        return
    records = {each["id"]: each for each in base.records(section.table)}
    for each in base.records(parent.table):
        cell = each["fields"].get(link.name)
        for id_ in cell if isinstance(cell, list) else ():
            if isinstance(id_, str) and id_ in records:
                above = text_of(each["fields"].get(parent.table.primary.name))
                below = text_of(records[id_]["fields"].get(label.name))
                yield above.strip().casefold(), below.casefold()


def _rename_twins(section: Section, rename: Rename) -> None:
    """Two fields of a table may have one name in snake_case, or none: "📞"."""
    taken: set[str] = set()
    for each in section.variables:
        name = rename(each.name)
        if not name or name in taken:
            section.renamed[each.name] = name = _numbered(name or "field", taken)
        taken.add(name)


def _free_prefix(section: Section, rename: Rename, taken: set[str]) -> str:
    """Of the link's name; with those above it, or a number, if that does not suffice."""
    slugs = [snake_case(each.link.name) or "link" for each in section.path() if each.link]
    choices = [f"{'_'.join(slugs[start:])}_" for start in reversed(range(len(slugs)))]
    choices += [f"{choices[-1]}{number}_" for number in range(2, 100)] if choices else []
    plain = {_name(section, each, rename) for each in section.variables}
    for prefix in choices:
        if not {f"{prefix}{name}" for name in plain} & taken:
            return prefix
    return ""


def _names(section: Section, rename: Rename) -> set[str]:
    return {section.prefix + _name(section, each, rename) for each in section.variables}


def _name(section: Section, field: Field, rename: Rename) -> str:
    return section.renamed.get(field.name) or rename(field.name)


def _numbered(name: str, taken: set[str]) -> str:
    return next(each for number in range(2, 10_000) if (each := f"{name}_{number}") not in taken)
