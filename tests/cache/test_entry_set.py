"""The complete set that a refresh publishes: sorted, encoded once, not in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.number_set import NumberSet
from tests.support.services import services

NUMBERS = st.from_regex(r"(rec[A-Za-z0-9]{3}/)?\+[1-9][0-9]{2,4}", fullmatch=True)
CONFIGS = st.dictionaries(NUMBERS, st.dictionaries(st.text(), st.text(), max_size=3))


def entry_set(configs: dict[str, dict[str, str]]) -> EntrySet:
    entries = (Entry(number, config, 1, "change") for number, config in configs.items())
    return EntrySet.of(entries, 5, "refresh")


@given(CONFIGS)
def test_a_set_has_the_entries_sorted_by_number(configs: dict[str, dict[str, str]]) -> None:
    found = [each.decode() for each in entry_set(configs)]
    assert found == [Entry(n, configs[n], 5, "refresh") for n in sorted(configs)]


@pytest.mark.usefixtures("fake_redis")
@given(CONFIGS)
def test_an_entry_is_encoded_as_django_redis_does_it(configs: dict[str, dict[str, str]]) -> None:
    store = services().call_store
    for entry in entry_set(configs):
        content = entry.decode().to_json()
        assert entry.value == store.encode_value(content)
        assert (entry.digest, entry.is_known) == (content["digest"], True)


@given(CONFIGS)
def test_the_parts_are_the_numbers_and_the_contacts(configs: dict[str, dict[str, str]]) -> None:
    complete = entry_set(configs)
    numbers, contacts = complete.of_numbers(), complete.of_contacts()
    assert list(numbers.numbers()) == sorted(n for n in configs if "/" not in n)
    assert list(contacts.numbers()) == sorted(n for n in configs if "/" in n)
    assert len(complete) == len(numbers) + len(contacts) == len(configs)


def test_equal_content_has_an_equal_digest_whenever_it_was_read() -> None:
    first = entry_set({"+321": {"a": "1"}, "+322": {}})
    again = EntrySet.of([each.decode() for each in first], 9, "rollback")
    assert first.digest() == again.digest()
    assert first.digest() != entry_set({"+321": {"a": "2"}, "+322": {}}).digest()


def test_of_two_entries_of_a_number_the_last_counts() -> None:
    entries = [Entry("+321", {"a": text}, 1, "refresh") for text in ("first", "last")]
    [found] = EntrySet.of(entries, 1, "refresh")
    assert found.decode().config == {"a": "last"}


def test_half_a_surrogate_pair_is_no_error() -> None:
    """JSON may contain one."""
    [found] = EntrySet.of([Entry("\ud800/+321", {"a": "\ud800"}, 1, "refresh")], 1, "refresh")
    assert found.decode() == Entry("\ud800/+321", {"a": "\ud800"}, 1, "refresh")


@given(st.lists(NUMBERS), st.lists(st.tuples(NUMBERS, st.booleans())))
def test_a_number_set_knows_which_numbers_exist(
    numbers: list[str], changes: list[tuple[str, bool]]
) -> None:
    found, expected = NumberSet(numbers, max_changes=3), set(numbers)
    for number, exists in changes:
        found.set(number, exists=exists)
        (expected.add if exists else expected.discard)(number)
    for number in [*numbers, *(number for number, _ in changes)]:
        assert (number in found) == (number in expected)
