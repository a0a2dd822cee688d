"""Tables whose records are variables: a text `name = value`, or a key and a value."""

import re
from dataclasses import dataclass

from airtable_sync.proposal.base import Field, InspectedBase, Table
from airtable_sync.proposal.hints import is_key, is_value

MIN_SHARE = 0.8  # of the filled cells
_TEXT = frozenset({"singleLineText", "multilineText", "formula"})
# Not the "=" of an address (`https://…?a=b`) nor of a sentence.
_PAIR = re.compile(r"[^\s=:/?][^=:/?\n]{0,59}=[^=].*", re.DOTALL)
MAX_WORDS = 3  # of a variable's name


@dataclass(frozen=True)
class Pairs:
    """`value` is None if `key` holds both."""

    key: Field
    value: Field | None = None


def pairs_of(base: InspectedBase, table: Table) -> Pairs | None:
    return _one_field(base, table) or _two_fields(table)


def _one_field(base: InspectedBase, table: Table) -> Pairs | None:
    for each in table.fields:
        texts = base.texts(table, each) if each.type in _TEXT else []
        if texts and sum(map(_is_pair, texts)) >= MIN_SHARE * len(texts):
            return Pairs(each)
    return None


def _is_pair(text: str) -> bool:
    return bool(_PAIR.fullmatch(text)) and len(text.partition("=")[0].split()) <= MAX_WORDS


def _two_fields(table: Table) -> Pairs | None:
    texts = [each for each in table.fields if each.type in _TEXT]
    keys = [each for each in texts if is_key(each.name)]
    values = [each for each in texts if is_value(each.name)]
    return Pairs(keys[0], values[0]) if len(keys) == len(values) == 1 else None
