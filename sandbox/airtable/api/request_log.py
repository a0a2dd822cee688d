"""A log of the requests and the status of their responses."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

MAX_ENTRIES = 100_000


@dataclass
class LoggedRequest:
    """Times are of time.monotonic(). It starts when it arrives at this machine. `status` and
    `finished_at` are None until the response."""

    method: str
    path: str
    query: dict[str, list[str]]
    started_at: float
    status: int | None = None
    finished_at: float | None = None


class RequestLog:
    def __init__(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=MAX_ENTRIES)
        self.total = 0

    def add(self, request: LoggedRequest) -> None:
        self.total += 1
        self._entries.append(request)

    def entries(self) -> list[LoggedRequest]:
        return list(self._entries)

    def clear(self) -> None:
        self._entries.clear()
        self.total = 0

    def summary(self) -> dict[str, Any]:
        entries = self.entries()
        statuses = Counter(str(entry.status) for entry in entries if entry.status)
        return {
            "total": self.total,
            "waiting": sum(entry.finished_at is None for entry in entries),
            "by_status": dict(statuses),
        }

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.entries()]
