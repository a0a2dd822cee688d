"""Goals, and the results that are compared with them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=120)
TOLERANCE = 10  # a short run on a busy machine detects only a result that is so many times worse


@dataclass(frozen=True)
class Goal:
    """A limit for a ratio or, with a `unit`, for a value."""

    what: str
    against: str
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""

    def is_met(self, value: float, tolerance: float = 1) -> bool:
        if self.at_most is not None:
            return value <= self.at_most * tolerance
        return value >= (self.at_least or 0) / tolerance

    def __str__(self) -> str:
        limit = f"≤ {self.at_most}" if self.at_most is not None else f"≥ {self.at_least}"
        return f"{limit} {self.unit}".rstrip()


@dataclass
class Report:
    results: list[tuple[Goal, Sequence[float]]] = field(default_factory=list)

    def add(self, goal: Goal, values: Sequence[float]) -> None:
        self.results.append((goal, values))

    def far_from_goal(self) -> list[str]:
        """A sentence for each result that is ten times worse than its goal."""
        return [
            f"{goal.what}: {spread(values)}, the goal is {goal}"
            for goal, values in self.results
            if not goal.is_met(statistics.median(values), TOLERANCE)
        ]

    def table(self) -> Table:
        table = Table(title="Ratios of values from the same run: median (minimum-maximum)")
        for column in ("what", "against", "goal", "measured", "met"):
            table.add_column(column)
        for goal, values in self.results:
            met = "yes" if goal.is_met(statistics.median(values)) else "no"
            table.add_row(goal.what, goal.against, str(goal), spread(values), met)
        return table


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the minimum and maximum."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({low}-{high})"
