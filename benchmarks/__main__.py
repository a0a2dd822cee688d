"""`make bench`: starts all that it needs, and measures. Every figure in the documentation comes
from here. Machines differ: compare ratios, not absolute values."""

import argparse
import sys

from benchmarks.measurements import (
    changes,
    counting,
    distant_redis,
    hits,
    platforms,
    processes,
    redis_commands,
    refresh,
    scale,
    servers,
    status_page,
    storms,
    subscribers,
)
from benchmarks.results import CONSOLE, Report

PARTS = {
    "hits": hits.run,
    "platforms": platforms.run,
    "far": distant_redis.run,
    "processes": processes.run,
    "servers": servers.run,
    "storms": storms.run,
    "counting": counting.run,
    "refresh": refresh.run,
    "commands": redis_commands.run,
    "changes": changes.run,
    "page": status_page.run,
    "subscribers": subscribers.run,
    "scale": scale.run,
}
SHORT_PARTS = ("hits", "far", "processes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument(
        "--short",
        action="store_true",
        help="one short round; fails if a result is ten times worse than its goal",
    )
    options = parser.parse_args()
    parts = options.parts or (SHORT_PARTS if options.short else PARTS)
    rounds, seconds = (1, 0.5) if options.short else (options.rounds, options.seconds)
    report = Report()
    for part in parts:
        PARTS[part](report, rounds, seconds)
    CONSOLE.print(report.table())
    if options.short and (failures := report.far_from_goal()):
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
