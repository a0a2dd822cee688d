"""What happens during a soak at the same time, and the checks at its end."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from benchmarks.soak.deployment import COMMAND_SECONDS, Deployment, wait_until
from benchmarks.soak.expected_values import CellHistory, FaultPeriods, is_flat
from benchmarks.soak.random_faults import RandomFaults

CALLERS = 4
FAULTS_SECONDS, QUIET_SECONDS = 40.0, 60.0
REFRESH_SECONDS, EDIT_SECONDS, PROGRESS_SECONDS = 45.0, 2.0, 10.0
RECOVERY_SECONDS = 90.0  # without calls, a process probes Airtable once a minute
TABLE, EDITED = "dynamic_variables", "customer_name"
UNKNOWN_NUMBERS = [f"+3247099{each:04}" for each in range(20)]
PROBLEMS_SHOWN = 20


@dataclass
class Totals:
    """What has happened so far."""

    sources: Counter[str] = field(default_factory=Counter)  # of the answers
    refreshes: Counter[str] = field(default_factory=Counter)  # by status
    edits: int = 0
    megabytes: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return sum(self.sources.values())


class Soak:
    """`show` gets a line of progress every ten seconds."""

    def __init__(self, deployment: Deployment, seed: int, show: Callable[[str], object]) -> None:
        self.siftly, self.airtable = deployment, deployment.airtable
        self.random, self.totals, self.fault_periods = random.Random(seed), Totals(), FaultPeriods()
        self.ended = threading.Event()
        self.faults = RandomFaults(deployment.valkey, deployment.airtable, seed)
        self._show = show
        self.siftly.manage("refresh_airtable_cache")
        self.configs: dict[str, dict[str, str]] = self.siftly.cached_configs()
        now = time.monotonic()
        self.names = {n: CellHistory([now - 3600], [c[EDITED]]) for n, c in self.configs.items()}
        self.record_ids = self._record_ids()

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        tasks = [self._call_any] * CALLERS + [self._edit, self._refresh, self._show_progress]
        threads = [threading.Thread(target=self._repeat, args=(t,), daemon=True) for t in tasks]
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() < end:
                self._cause_faults(min(end, time.monotonic() + FAULTS_SECONDS))
                time.sleep(max(0.0, min(QUIET_SECONDS, end - time.monotonic())))
        finally:
            self.ended.set()
        for thread in threads:
            thread.join(COMMAND_SECONDS + 10)

    def problems(self) -> list[str]:
        """A sentence for everything that is wrong, after a last refresh."""
        found = self.totals.problems[:PROBLEMS_SHOWN]
        try:
            wait_until(
                lambda: all(self._has_recovered() for _ in range(10)), RECOVERY_SECONDS, "recover"
            )
            self.siftly.manage("refresh_airtable_cache", "--full")
            wait_until(self._equals_airtable, 10, "have the same configs as Airtable")
        except SystemExit as error:
            found.append(str(error))
        if self.airtable.limits.overruns:
            found.append("Airtable got more than five requests in a second.")
        if not is_flat(self.totals.megabytes):
            megabytes = ", ".join(f"{each:.0f}" for each in self.totals.megabytes)
            found.append(f"Memory is not flat: {megabytes} MB.")
        if not self.totals.calls:
            found.append("There were no calls.")
        return found

    # --- Tasks, each repeated in a thread of its own ----------------------------------------------

    def _repeat(self, task: Callable[[], None]) -> None:
        while not self.ended.is_set():
            task()

    def _call_any(self) -> None:
        is_unknown = random.random() < 0.05
        self._call(random.choice(UNKNOWN_NUMBERS if is_unknown else list(self.configs)))
        time.sleep(0.02)

    def _call(self, number: str) -> None:
        started = time.monotonic()
        try:
            response = self.siftly.call(number)
            variables = response.json()["call_inbound"]["dynamic_variables"]
        except (requests.RequestException, ValueError, KeyError) as error:
            self._add_problem(f"A call failed: {type(error).__name__}")
            return
        source = response.headers.get("X-Siftly-Source", "")
        self.totals.sources[source] += 1
        if response.status_code != 200 or not self._is_correct(number, variables, started):
            newest = self.names[number].newest if number in self.names else None
            answer = f"{response.status_code} {source} {number}: {variables}"
            self._add_problem(f"{answer}, and Airtable has {newest} now")

    def _is_correct(self, number: str, variables: dict[str, str], started: float) -> bool:
        if number not in self.configs:
            return not any(variables.values())
        expected = {**self.configs[number], EDITED: variables.get(EDITED, "")}
        earliest = started - self.fault_periods.allowed_age(started)
        return variables == expected and self.names[number].had(
            variables[EDITED], earliest, time.monotonic()
        )

    def _add_problem(self, sentence: str) -> None:
        self.totals.problems.append(sentence)
        self.siftly.write_to_log(f"wrong: {sentence}")

    def _edit(self) -> None:
        number = self.random.choice(list(self.record_ids))
        self.totals.edits += 1
        name = f"Customer {self.totals.edits}"
        self.names[number].set(name, time.monotonic())
        self.airtable.base().table(TABLE).update(self.record_ids[number], {EDITED: name})
        time.sleep(self.random.uniform(0.5, 1.5) * EDIT_SECONDS)

    def _refresh(self) -> None:
        if self.ended.wait(REFRESH_SECONDS):
            return
        started = time.monotonic()
        age_before = self.fault_periods.allowed_age(started)
        done = self.siftly.manage("refresh_airtable_cache", "--json", "--full", check=False)
        status = str(json.loads(done.stdout)["status"]) if done.stdout else "crashed"
        self.totals.refreshes[status] += 1
        seconds = time.monotonic() - started
        self.siftly.write_to_log(f"refresh {status} after {seconds:.1f} s\n{done.stderr}")
        had_no_fault = age_before + time.monotonic() - started == self.fault_periods.allowed_age(
            time.monotonic()
        )
        if status == "crashed" or (had_no_fault and status in ("failed", "refused")):
            self._add_problem(f"A refresh {status}: {done.stderr.strip()[-300:]}")

    def _show_progress(self) -> None:
        self.totals.megabytes.append(self.siftly.megabytes())
        self.ended.wait(PROGRESS_SECONDS)
        totals = self.totals
        self._show(
            f"{len(totals.megabytes) * PROGRESS_SECONDS / 60:5.1f} min  {totals.calls} calls, "
            f"{totals.edits} edits, {totals.refreshes.total()} refreshes, "
            f"{self.faults.counts.total()} faults, {totals.megabytes[-1]:.0f} MB, "
            f"{len(totals.problems)} wrong"
        )

    # --- In the main thread -----------------------------------------------------------------------

    def _cause_faults(self, end: float) -> None:
        self.fault_periods.begin(time.monotonic())
        try:
            while time.monotonic() < end:
                self.siftly.write_to_log(f"{self.faults.cause_one()} ended")
                time.sleep(self.random.uniform(0.2, 3.0))
        finally:
            self.fault_periods.end(time.monotonic())

    def _has_recovered(self) -> bool:
        state = self.siftly.ready()
        circuit_breakers = set(state["circuit_breakers"].values())
        return bool(state["replica"]["in_sync"]) and circuit_breakers == {"closed"}

    def _equals_airtable(self) -> bool:
        expected = {n: {**c, EDITED: self.names[n].newest} for n, c in self.configs.items()}
        return self.siftly.cached_configs() == expected

    def _record_ids(self) -> dict[str, str]:
        """Called number -> the record with its name, for names that only one number has."""
        table = self.airtable.base().table(TABLE)
        by_name = {
            str(table.values(record_id).get(EDITED)): record_id for record_id in table.records
        }
        counts = Counter(config[EDITED] for config in self.configs.values())
        return {n: by_name[c[EDITED]] for n, c in self.configs.items() if counts[c[EDITED]] == 1}
