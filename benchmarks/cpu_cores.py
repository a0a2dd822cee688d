"""Which process runs on which core: a server alone on one, the load generator and Redis on another,
so that neither takes the other's time. On macOS, where a process can't be bound to a core, the
system decides."""

import os

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
CLIENT, SERVER = set(CORES[:1]), set(CORES[-1:])
ALL = set(CORES)


def bind(process_id: int, cores: set[int]) -> None:
    """Let a process run only on these cores. 0 is this process."""
    if cores:
        os.sched_setaffinity(process_id, cores)
