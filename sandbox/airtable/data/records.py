"""A record as a table stores it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Record:
    id: str
    number: int
    """The value of the table's autonumber fields."""
    created_time: datetime
    cells: dict[str, Any] = field(default_factory=dict)
    """Field id → value, without empty cells. A renamed field keeps its values."""
    modified: dict[str, datetime] = field(default_factory=dict)
    """Field id → time of the last change since the record was created."""
