"""`make bench`: starts everything itself and measures. Every figure in the documents comes from
here; machines differ, so ratios are what to look at."""

import argparse
import sys

from benchmarks import (
    changes,
    commands,
    counting,
    far,
    hits,
    page,
    processes,
    refresh,
    servers,
    storms,
)
from benchmarks.results import CONSOLE, Report

PARTS = {
    "hits": hits.run,
    "far": far.run,
    "processes": processes.run,
    "servers": servers.run,
    "storms": storms.run,
    "counting": counting.run,
    "refresh": refresh.run,
    "commands": commands.run,
    "changes": changes.run,
    "page": page.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, unless named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument(
        "--short", action="store_true", help="one short round; fails if a goal is missed tenfold"
    )
    options = parser.parse_args()
    parts = options.parts or (["hits", "far", "processes"] if options.short else PARTS)
    rounds, seconds = (1, 0.5) if options.short else (options.rounds, options.seconds)
    report = Report()
    for part in parts:
        PARTS[part](report, rounds, seconds)
    CONSOLE.print(report.table())
    if options.short and (fallen := report.fallen()):
        sys.exit("\n".join(fallen))


if __name__ == "__main__":
    main()
