"""The agency's base, for tests of callers."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.airtable.sample.agency import AGENCY_MAPPING, agency_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable


@pytest.fixture
def agency(settings: Any) -> Iterator[Sandbox]:
    with Sandbox([agency_base()], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        settings.AIRTABLE_MAPPING = str(AGENCY_MAPPING)
        settings.RETELL_API_KEY = ["key_tests"]
        yield sandbox
