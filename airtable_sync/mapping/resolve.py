"""The mapping in this base: ids become names, links that are variables become linked sections."""

from collections.abc import Callable
from dataclasses import replace

from airtable_sync.mapping.field_types import FieldType
from airtable_sync.mapping.item_text import ItemText
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.records import BaseTables
from airtable_sync.mapping.schema import Mapping, Node


def resolve(mapping: Mapping, base: KnownBase) -> Mapping:
    """The mapping for this base. What the base does not have stays as it is written."""
    named = _each_section(mapping, lambda root: _with_names(root, base))
    return _each_section(named, lambda root: _with_links(root, named, base))


def links_left_out(mapping: Mapping) -> list[str]:
    """A sentence for each section with `"*"` that has links: their names have to be asked for."""
    return [
        f"[{node.place}] links are no variables, and are left out: "
        f"{', '.join(node.links_left_out)}. "
        'Name them in "except", or in a section of the linked table.'
        for node in mapping.nodes()
        if node.links_left_out
    ]


def missing_in_base(mapping: Mapping, tables: BaseTables) -> list[str]:
    """What the mapping names and the base does not have, one clause each."""
    base, clauses = tables.known(), []
    mapping = _each_section(mapping, lambda root: _with_names(root, base))
    for table in mapping.tables():
        if table not in tables.fields:
            clauses.append(f"there is no table {table}")
            continue
        missing = [n for n in mapping.named_fields(table) if n not in tables.fields[table]]
        clauses += [f"{table} has no field {name}" for name in missing]
    for node in mapping.nodes():
        views = tables.views.get(node.table)
        if node.view and views is not None and node.view not in views:
            clauses.append(f"{node.table} has no view {node.view}")
        clauses += [clause for child in node.children if (clause := _wrong_link(node, child, base))]
    if mapping.callers and (clause := _wrong_owner(mapping, mapping.callers, base)):
        clauses.append(clause)
    return list(dict.fromkeys(clauses))


def _each_section(mapping: Mapping, change: Callable[[Node], Node]) -> Mapping:
    roots = tuple(change(root) for root in mapping.roots)
    callers = change(mapping.callers) if mapping.callers else None
    return replace(mapping, roots=roots, callers=callers)


def _wrong_owner(mapping: Mapping, callers: Node, base: KnownBase) -> str:
    """Why no call would be told a contact; "" if that is not known."""
    type_ = base.type_of(callers.table, callers.belongs_to) if callers.belongs_to else None
    if type_ is None:
        return ""
    place = f"{callers.table}.{callers.belongs_to}"
    if not _shows_record_ids(type_):
        return f"{place} is no link to other records (belongs_to)"
    table = base.table_name(type_.linked_table_id or "")
    if type_.linked_table_id and table not in mapping.of_numbers().tables():
        return f"{place} links to {table}, which no number's config is made of (belongs_to)"
    return ""


def _wrong_link(node: Node, child: Node, base: KnownBase) -> str:
    """Why the field is no link to the section's table; "" if it is, or if nothing is known."""
    type_ = base.type_of(node.table, child.link)
    if type_ is None:
        return ""
    if not _shows_record_ids(type_):
        return f"{node.table}.{child.link} is no link to other records"
    linked = type_.linked_table_id
    if linked and linked != base.table_ids.get(child.table, linked):
        return f"{node.table}.{child.link} links to {base.table_name(linked)}, not to {child.table}"
    return ""


def _with_names(node: Node, base: KnownBase) -> Node:
    table = base.table_name(node.table)

    def name(field: str) -> str:
        return base.field_name(table, field)

    item = node.item and ItemText(node.item.literals, tuple(map(name, node.item.fields)))
    return replace(
        node,
        table=table,
        sort=tuple(map(name, node.sort)),
        variables=_renamed(node.variables, name),
        excluded=frozenset(map(name, node.excluded)),
        renamed=_renamed(node.renamed, name),
        settings=tuple((setting, name(field)) for setting, field in node.settings),
        belongs_to=name(node.belongs_to),
        pairs_field=name(node.pairs_field),
        key_field=name(node.key_field),
        value_field=name(node.value_field),
        item=item,
        number_fields=tuple(map(name, node.number_fields)),
        children=tuple(
            replace(_with_names(child, base), link=name(child.link)) for child in node.children
        ),
    )


def _renamed(
    pairs: tuple[tuple[str, str], ...], name: Callable[[str], str]
) -> tuple[tuple[str, str], ...]:
    return tuple((name(field), variable) for field, variable in pairs)


def _with_links(node: Node, mapping: Mapping, base: KnownBase) -> Node:
    """Link fields are no variables: those that `variables` names become sections with the names of
    the linked records, which are in their primary field."""
    known = base.fields.get(node.table, {})
    children = [_with_links(child, mapping, base) for child in node.children]
    if node.every_field:
        used = {*node.excluded, *(child.link for child in children)}
        links = [n for n, type_ in known.items() if _shows_record_ids(type_) and n not in used]
        return replace(node, children=tuple(children), links_left_out=tuple(links))
    variables = []
    for name, own in node.variables:
        type_ = known.get(name)
        linked = type_.linked_table_id if type_ and type_.is_link else None
        table = base.table_name(linked) if linked else ""
        if primary := base.primary_fields.get(table):
            variable = mapping.variable_name(node, name, own)
            children.append(_names_of_linked(node, name, table, ((primary, variable),)))
        else:
            variables.append((name, own))
    return replace(node, variables=tuple(variables), children=tuple(children))


def _names_of_linked(
    node: Node, link: str, table: str, variables: tuple[tuple[str, str], ...]
) -> Node:
    return Node(
        table=table,
        place=node.place,
        link=link,
        many=True,
        variables=variables,
    )


def _shows_record_ids(type_: FieldType | None) -> bool:
    return type_ is not None and (type_.is_link or type_.is_lookup_of_links)
