"""Whether what is published is all of Airtable, read by today's mapping: what the change feed says
means something then."""

import hashlib
from pathlib import Path

from airtable_sync.lookup import served_numbers
from airtable_sync.mapping import current


def reader() -> str:
    """Another one after a change of the mapping, or of the numbers that are served."""
    mapping = current()
    said = Path(mapping.path).read_bytes() + repr(sorted(served_numbers(mapping))).encode()
    return hashlib.sha256(said).hexdigest()[:16]
