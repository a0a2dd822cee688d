"""Lists of records that would never end."""

import itertools
from typing import Any

import pytest

from airtable_sync.airtable import pages
from airtable_sync.airtable.errors import Unavailable
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.mapping.schema import Source
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.servers.answering_server import answering, whole
from tests.support.services import services

LIMITS = RequestLimits(10.0, 10.0, 60.0, (), 0.0, 10.0, is_call=True)


def read() -> list[str]:
    found = services().new_client(LIMITS).pages(Source("client"))
    return [record["id"] for page in found for record in page]


def test_a_list_that_gives_an_offset_twice_is_not_read_for_ever(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(json={"records": [], "offset": "itr1/rec1"}, times=None))
    with pytest.raises(Unavailable, match="has no end: an offset came twice"):
        read()
    assert len(airtable.requests) == 2


def test_a_list_with_more_pages_than_a_base_has_is_not_read_for_ever(
    airtable: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGES", 20)
    offsets = (b'{"records": [], "offset": "itr1/rec%d"}' % n for n in itertools.count())
    with answering(lambda send: send(whole(next(offsets)))) as server:
        settings.AIRTABLE_API_URL = server.url
        with pytest.raises(Unavailable, match="has more than 20 pages"):
            read()
    assert len(server.requests) == 20


@pytest.mark.parametrize("offset", [5, ["itr1/rec1"], {"after": "rec1"}, "x" * 5000])
def test_an_offset_that_is_none_of_airtables_is_an_error(airtable: Sandbox, offset: Any) -> None:
    airtable.faults.add(Fault(json={"records": [], "offset": offset}))
    with pytest.raises(Unavailable, match="invalid offset"):
        read()
    assert len(airtable.requests) == 1
