"""`make soak`, or `python -m benchmarks.soak --minutes 30`: all of Siftly under load, while people
edit, cron refreshes, and Redis and Airtable fail at random; it ends with a verdict."""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import requests
from rich.console import Console

from benchmarks.deployment import COMMAND_SECONDS, ROOT, Deployment, until
from benchmarks.truth import Troubles, Values, is_flat
from benchmarks.weather import Weather

CALLERS = 4
STORM_SECONDS, CALM_SECONDS = 40.0, 60.0
REFRESH_SECONDS, EDIT_SECONDS, TELL_SECONDS = 45.0, 2.0, 10.0
WELL_SECONDS = 90.0  # where nobody calls, Airtable is tried once a minute
TABLE, EDITED = "dynamic_variables", "customer_name"
UNKNOWN = [f"+3247099{each:04}" for each in range(20)]
KEPT_LOG = ROOT / "soak.log"  # of one that failed
CONSOLE = Console()


@dataclass
class Seen:
    """What happened so far."""

    sources: Counter[str] = field(default_factory=Counter)
    refreshes: Counter[str] = field(default_factory=Counter)
    edits: int = 0
    megabytes: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return sum(self.sources.values())


class Soak:
    def __init__(self, deployment: Deployment, seed: int) -> None:
        self.siftly, self.airtable = deployment, deployment.airtable
        self.random, self.seen, self.troubles = random.Random(seed), Seen(), Troubles()
        self.ended = threading.Event()
        self.weather = Weather(deployment.valkey, deployment.airtable, seed)
        self.siftly.manage("refresh_airtable_cache")
        self.configs: dict[str, dict[str, str]] = self.siftly.cached()
        now = time.monotonic()
        self.names = {n: Values([now - 3600], [c[EDITED]]) for n, c in self.configs.items()}
        self.rows = self._rows()

    # --- what goes on at the same time -----------------------------------------------------------

    def call(self, number: str) -> None:
        started = time.monotonic()
        try:
            answer = self.siftly.call(number)
            found = answer.json()["call_inbound"]["dynamic_variables"]
        except (requests.RequestException, ValueError, KeyError) as error:
            self._note_wrong(f"A call failed: {type(error).__name__}")
            return
        source = answer.headers.get("X-Siftly-Source", "")
        self.seen.sources[source] += 1
        if answer.status_code != 200 or not self._is_right(number, found, started):
            newest = self.names[number].newest if number in self.names else None
            told = f"{answer.status_code} {source} {number}: {found}"
            self._note_wrong(f"{told}, where Airtable has {newest} by now")

    def _is_right(self, number: str, found: dict[str, str], started: float) -> bool:
        if number not in self.configs:
            return found == {}
        expected = {**self.configs[number], EDITED: found.get(EDITED, "")}
        earliest = started - self.troubles.allowed_lag(started)
        return found == expected and self.names[number].was(
            found[EDITED], earliest, time.monotonic()
        )

    def _note_wrong(self, sentence: str) -> None:
        self.seen.wrong.append(sentence)
        self.siftly.note(f"wrong: {sentence}")

    def call_somebody(self) -> None:
        unknown = random.random() < 0.05
        self.call(random.choice(UNKNOWN if unknown else list(self.configs)))
        time.sleep(0.02)

    def edit(self) -> None:
        number = self.random.choice(list(self.rows))
        self.seen.edits += 1
        name = f"Customer {self.seen.edits}"
        self.names[number].set(name, time.monotonic())
        self.airtable.base().table(TABLE).update(self.rows[number], {EDITED: name})
        time.sleep(self.random.uniform(0.5, 1.5) * EDIT_SECONDS)

    def refresh(self) -> None:
        if self.ended.wait(REFRESH_SECONDS):
            return
        begun = time.monotonic()
        lag = self.troubles.allowed_lag(begun)
        done = self.siftly.manage("refresh_airtable_cache", "--json", "--full", check=False)
        status = str(json.loads(done.stdout)["status"]) if done.stdout else "crashed"
        self.seen.refreshes[status] += 1
        self.siftly.note(f"refresh {status} after {time.monotonic() - begun:.1f} s\n{done.stderr}")
        was_good = lag + time.monotonic() - begun == self.troubles.allowed_lag(time.monotonic())
        if status == "crashed" or (was_good and status in ("failed", "refused")):
            self._note_wrong(f"A refresh {status}: {done.stderr.strip()[-300:]}")

    def watch(self) -> None:
        self.seen.megabytes.append(self.siftly.megabytes())
        self.ended.wait(TELL_SECONDS)
        seen = self.seen
        CONSOLE.print(
            f"{len(seen.megabytes) * TELL_SECONDS / 60:5.1f} min  {seen.calls} calls, "
            f"{seen.edits} edits, {seen.refreshes.total()} refreshes, "
            f"{self.weather.happened.total()} faults, {seen.megabytes[-1]:.0f} MB, "
            f"{len(seen.wrong)} wrong",
            highlight=False,
        )

    # --- beginning and end -----------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        works = [self.call_somebody] * CALLERS + [self.edit, self.refresh, self.watch]
        threads = [threading.Thread(target=self._repeat, args=(w,), daemon=True) for w in works]
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() < end:
                self._storm(min(end, time.monotonic() + STORM_SECONDS))
                time.sleep(max(0.0, min(CALM_SECONDS, end - time.monotonic())))
        finally:
            self.ended.set()
        for thread in threads:
            thread.join(COMMAND_SECONDS + 10)

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self.ended.is_set():
            work()

    def _storm(self, end: float) -> None:
        self.troubles.begin(time.monotonic())
        try:
            while time.monotonic() < end:
                self.siftly.note(f"{self.weather.strike()} ended")
                time.sleep(self.random.uniform(0.2, 3.0))
        finally:
            self.troubles.end(time.monotonic())

    def verdict(self) -> list[str]:
        """What is not as it must be, in sentences."""
        found = self.seen.wrong[:20]
        try:
            until(lambda: all(self._is_well() for _ in range(10)), WELL_SECONDS, "be well again")
            self.siftly.manage("refresh_airtable_cache", "--full")
            until(self._is_equal, 10, "hold what Airtable has")
        except SystemExit as error:
            found.append(str(error))
        if self.airtable.limits.overruns:
            found.append("Airtable was asked more than five times in a second.")
        if not is_flat(self.seen.megabytes):
            grown = ", ".join(f"{each:.0f}" for each in self.seen.megabytes)
            found.append(f"Memory is not flat: {grown} MB.")
        if not self.seen.calls:
            found.append("Nobody called.")
        return found

    def _is_well(self) -> bool:
        state = self.siftly.ready()
        return bool(state["replica"]["in_sync"]) and set(state["breakers"].values()) == {"closed"}

    def _is_equal(self) -> bool:
        expected = {n: {**c, EDITED: self.names[n].newest} for n, c in self.configs.items()}
        return self.siftly.cached() == expected

    def _rows(self) -> dict[str, str]:
        """number -> the record that holds its name, where no other has the same."""
        table = self.airtable.base().table(TABLE)
        by_name = {str(table.values(row).get(EDITED)): row for row in table.records}
        shared = Counter(config[EDITED] for config in self.configs.values())
        return {n: by_name[c[EDITED]] for n, c in self.configs.items() if shared[c[EDITED]] == 1}


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the faults")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    os.environ["ENV_FILE"] = os.devnull
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    CONSOLE.print(f"{options.minutes:g} minutes, seed {options.seed}", highlight=False)
    try:
        with contextlib.ExitStack() as started:
            soak = Soak(Deployment(started), options.seed)
            soak.run(options.minutes * 60)
            troubles = soak.verdict()
            if troubles:
                shutil.copy(soak.siftly.log, KEPT_LOG)
    except KeyboardInterrupt:
        CONSOLE.print("Stopped, without a verdict.")
        return 130
    seen = soak.seen
    for title, each in (
        ("calls", seen.sources),
        ("refreshes", seen.refreshes),
        ("faults", soak.weather.happened),
    ):
        CONSOLE.print(f"{title}: {dict(each)}", highlight=False)
    for sentence in troubles:
        CONSOLE.print(f"  {sentence}", highlight=False, markup=False)
    if troubles:
        CONSOLE.print(f"FAILED. What was logged is in {KEPT_LOG.name}.", highlight=False)
        return 1
    CONSOLE.print("Good: no failed call, no wrong config, flat memory.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
