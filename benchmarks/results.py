"""Goals, and what was measured against them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=120)
GROSS = 10  # a short run on a busy machine shows no more than a fall by so much


@dataclass(frozen=True)
class Goal:
    """A bound for a ratio or, where `unit` is given, for a figure."""

    what: str
    against: str
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""

    def is_met(self, value: float, slack: float = 1) -> bool:
        if self.at_most is not None:
            return value <= self.at_most * slack
        return value >= (self.at_least or 0) / slack

    def __str__(self) -> str:
        bound = f"≤ {self.at_most}" if self.at_most is not None else f"≥ {self.at_least}"
        return f"{bound} {self.unit}".rstrip()


@dataclass
class Report:
    measured: list[tuple[Goal, Sequence[float]]] = field(default_factory=list)

    def add(self, goal: Goal, values: Sequence[float]) -> None:
        self.measured.append((goal, values))

    def fallen(self) -> list[str]:
        """What is worse than its goal by an order of magnitude."""
        return [
            f"{goal.what}: {spread(values)}, the goal is {goal}"
            for goal, values in self.measured
            if not goal.is_met(statistics.median(values), GROSS)
        ]

    def table(self) -> Table:
        table = Table(title="Ratios in one run: median (least-most)")
        for column in ("what", "against", "goal", "measured", "met"):
            table.add_column(column)
        for goal, values in self.measured:
            met = "yes" if goal.is_met(statistics.median(values)) else "no"
            table.add_row(goal.what, goal.against, str(goal), spread(values), met)
        return table


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the least and most."""
    least, most = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({least}-{most})"
