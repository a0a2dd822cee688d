"""Who runs where: a server alone on one core, the load generator and Redis on another, so that
neither takes the other's time. Where cores can't be chosen (macOS) the system decides."""

import os

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
CLIENT, SERVER = set(CORES[:1]), set(CORES[-1:])
ALL = set(CORES)


def pin(process: int, cores: set[int]) -> None:
    """0 is this process."""
    if cores:
        os.sched_setaffinity(process, cores)
