"""`make soak`, or `python -m benchmarks.soak --minutes 30`: all of Siftly under load, with edits,
refreshes and random faults of Redis and Airtable. Exits with 1 if an answer was wrong or something
did not recover."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time

from rich.console import Console

from benchmarks.environment import ROOT
from benchmarks.soak.deployment import Deployment
from benchmarks.soak.soak import Soak

FAILED_LOG = ROOT / "soak.log"
CONSOLE = Console(highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the faults")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    os.environ["ENV_FILE"] = os.devnull
    CONSOLE.print(f"{options.minutes:g} minutes, seed {options.seed}")
    try:
        with contextlib.ExitStack() as stack:
            soak = Soak(Deployment(stack), options.seed, CONSOLE.print)
            soak.run(options.minutes * 60)
            problems = soak.problems()
            if problems:
                shutil.copy(soak.siftly.log, FAILED_LOG)
    except KeyboardInterrupt:
        CONSOLE.print("Stopped, without a result.")
        return 130
    _print_result(soak, problems)
    return 1 if problems else 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _print_result(soak: Soak, problems: list[str]) -> None:
    CONSOLE.print(f"calls: {dict(soak.totals.sources)}")
    CONSOLE.print(f"refreshes: {dict(soak.totals.refreshes)}")
    CONSOLE.print(f"faults: {dict(soak.faults.counts)}")
    for problem in problems:
        CONSOLE.print(f"  {problem}", markup=False)
    if problems:
        CONSOLE.print(f"FAILED. The log is in {FAILED_LOG.name}.")
    else:
        CONSOLE.print("Good: no failed call, no wrong config, flat memory.")


if __name__ == "__main__":
    sys.exit(main())
