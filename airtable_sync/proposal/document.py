"""The proposed mapping as commented TOML."""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from babel.languages import get_official_languages

from airtable_sync.mapping.names import snake_case
from airtable_sync.proposal.base import InspectedBase
from airtable_sync.proposal.candidates import Candidate
from airtable_sync.proposal.filters import suggestions
from airtable_sync.proposal.sections import Section
from airtable_sync.proposal.toml_text import (
    comment,
    dotted,
    inline_table,
    list_of,
    quoted,
)
from airtable_sync.proposal.variables import left_out

WIDTH = 96
_TITLE = (
    "Proposed from the base by Siftly. docs/guides/mapping.md explains every word of this file."
)


@dataclass(frozen=True)
class Plan:
    """All that the file says."""

    base: InspectedBase
    candidate: Candidate
    root: Section
    time_zone: str
    in_snake_case: bool
    undecided: list[str]
    locale: str = ""  # that a person chose

    @property
    def region(self) -> str:
        return self.candidate.found[0].region.code if self.candidate.found else ""


def document(plan: Plan) -> str:
    parts = [_head(plan.undecided), _format(plan), _numbers(plan)]
    parts += [_linked(each) for each in plan.root.all() if each.link]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _head(undecided: list[str]) -> list[str]:
    lines = [comment(_TITLE)]
    if undecided:
        lines += ["#", "# Could not be decided:"]
    for each in undecided:
        first, *rest = textwrap.wrap(each, WIDTH, break_long_words=False, break_on_hyphens=False)
        lines += [f"# - {first}", *(f"#   {line}" for line in rest)]
    return lines


def _format(plan: Plan) -> list[str]:
    locale = quoted(plan.locale or _locale(plan.region))
    start = "" if plan.locale else "# "
    lines = [
        "[format]",
        f"{start}locale = {locale}  # write numbers, money and dates as people there do",
    ]
    if plan.time_zone:
        lines.append(f"time_zone = {quoted(plan.time_zone)}")
    if plan.in_snake_case:
        lines.append('names = "snake_case"  # "Customer Name" becomes customer_name')
    return lines


def _locale(region: str) -> str:
    """An official language of the country."""
    languages = get_official_languages(region, de_facto=True) if region else ()
    return f"{languages[0]}-{region}" if languages else "en-GB"


def _numbers(plan: Plan) -> list[str]:
    root, field = plan.root, plan.candidate.field
    lines = ["[numbers]", f"table = {quoted(root.table.name)}"]
    lines += [f"number_field = {quoted(field.name)}", *_about_numbers(plan)]
    lines += [comment(line) for line in suggestions(plan.base, root.table)]
    return [*lines, *_variables(root, field.name)]


def _about_numbers(plan: Plan) -> Iterator[str]:
    found = plan.candidate.found
    if len(found) > 1:
        yield comment(f"number_fields = {_on_one_line(each.field.name for each in found)}")
    if found and found[0].several_per_cell:
        yield "several_per_cell = true"
    if plan.region:
        yield f"region = {quoted(plan.region)}  # the country of numbers without a country code"


def _linked(section: Section) -> list[str]:
    keys = [word for each in section.path() if each.link for word in ("links", each.link.name)]
    lines = [f"[{dotted(['numbers', *keys])}]", f"table = {quoted(section.table.name)}"]
    if section.many:
        lines.append("many = true")
    lines += _pairs(section)
    return [*lines, *_variables(section, ""), *_item(section)]


def _pairs(section: Section) -> list[str]:
    pairs = section.pairs
    if not pairs:
        return []
    if not pairs.value:
        return [f"pairs_field = {quoted(pairs.key.name)}  # each is a variable: name = value"]
    return [f"key_field = {quoted(pairs.key.name)}", f"value_field = {quoted(pairs.value.name)}"]


def _variables(section: Section, number_field: str) -> Iterator[str]:
    if section.variables:
        yield 'variables = "*"  # every field, a new one too'
        if without := [each.name for each in left_out(section, number_field)]:
            yield f"except = {list_of(without, behind=len('except = '))}"
    if section.renamed:
        yield f"rename = {inline_table(section.renamed)}"
    if section.prefix:
        yield f"prefix = {quoted(section.prefix)}  # other sections have the same names"
    if section.settings:
        yield f"settings = {_settings(section)}  # of the number, no variables"


def _settings(section: Section) -> str:
    names = {setting: field.name for setting, field in section.settings.items()}
    is_same = all(setting == name for setting, name in names.items())
    return _on_one_line(names) if is_same else inline_table(names)


def _item(section: Section) -> Iterator[str]:
    """Several records of several fields: one text a record may be better, as in opening hours."""
    names = [each.name for each in section.variables]
    link = section.link
    if link and section.many and len(names) > 1 and not any(c in n for n in names for c in "{}"):
        first, *rest = names
        text = f"{{{first}}}: " + ", ".join(f"{{{name}}}" for name in rest)
        yield comment(f"item = {quoted(text)}  # instead: one text a record, joined in …")
        variable = quoted(snake_case(link.name) or "items")
        yield comment(f"variable = {variable}  # … one variable")


def _on_one_line(names: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, names))}]"
