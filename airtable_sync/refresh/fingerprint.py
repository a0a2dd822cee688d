"""Whether what is published is all of Airtable, read by today's mapping: what the change feed says
means something then."""

import hashlib
from functools import lru_cache
from pathlib import Path

from airtable_sync.lookup.airtable_lookup import served_numbers
from airtable_sync.mapping.schema import current


def reader() -> str:
    """Another one after a change of the mapping, or of the numbers that are served."""
    mapping = current()
    return _reader(mapping.path, served_numbers(mapping))


@lru_cache(maxsize=4)  # as the mapping is, which is not read again either
def _reader(path: str, served: frozenset[str]) -> str:
    said = Path(path).read_bytes() + repr(sorted(served)).encode()
    return hashlib.sha256(said).hexdigest()[:16]
