from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.platforms import set_up
from tests.support.raw_calls import cache_in_memory
from tests.support.servers.in_thread import served
from tests.support.services import platforms


@pytest.fixture
def server(settings: Any) -> Iterator[tuple[str, int]]:
    """The address of a server in this process, which answers Retell's calls from memory."""
    set_up(platforms()["retell"], settings)
    cache_in_memory()
    with served() as address:
        yield address
