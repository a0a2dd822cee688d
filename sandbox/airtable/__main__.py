"""Serves the sample bases on this machine until Ctrl-C or SIGTERM.

Example: python -m sandbox.airtable --port 9000 --latency 0.3
"""

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Callable

from sandbox.airtable.data.bases import Base
from sandbox.airtable.sample.agency import agency_base
from sandbox.airtable.sample.bases import flat_base, linked_base
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.settings import WebhookSettings

LAYOUTS: dict[str, tuple[Callable[[], Base], ...]] = {
    "linked": (linked_base,),
    "flat": (flat_base,),
    "both": (linked_base, flat_base),
    "agency": (agency_base,),
}


def main() -> int:
    options = arguments().parse_args()
    sandbox = Sandbox(
        [make() for make in LAYOUTS[options.layout]],
        token=options.token,
        latency=options.latency,
        latency_jitter=options.latency_jitter,
        requests_per_second=options.requests_per_second or None,
        lockout_seconds=options.lockout,
        monthly_quota=options.quota,
        webhooks=WebhookSettings(
            time_scale=options.webhook_time_scale,
            notification_delay=options.notification_delay,
        ),
        port=options.port,
    )
    allow_many_connections()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox.start()
    except (OSError, OverflowError) as error:
        print(f"Port {options.port} cannot be used: {error}", file=sys.stderr)
        return 1
    print(description(sandbox), flush=True)
    stop.wait()
    sandbox.stop()
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.airtable", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    default = "default: %(default)s"
    add("--port", type=int, default=9000, help=f"0 for a free port ({default})")
    add("--token", default="sandbox-token", help=f"the token that clients send ({default})")
    add("--layout", choices=LAYOUTS, default="linked", help=f"of the sample bases ({default})")
    add("--latency", type=not_negative, default=0.0, help=f"seconds before a response ({default})")
    add("--latency-jitter", action="store_true", help="vary the latency from 0.5 to 1.5 times")
    limit = f"requests per second and base; 0 for no limit ({default})"
    add("--requests-per-second", type=not_negative, default=5, help=limit)
    lockout = f"seconds of 429 after too many requests ({default})"
    add("--lockout", type=not_negative, default=30.0, help=lockout)
    add("--quota", type=int, help="requests per month (default: no limit)")
    delay = f"seconds from a change to its notification ({default})"
    add("--notification-delay", type=not_negative, default=0.2, help=delay)
    scale = f"how many times faster webhooks expire and retry ({default})"
    add("--webhook-time-scale", type=above_zero, default=1.0, help=scale)
    return parser


def not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number


def above_zero(text: str) -> float:
    if not not_negative(text):
        raise ValueError(text)
    return float(text)


def allow_many_connections() -> None:
    """Each waiting request needs a file descriptor."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def description(sandbox: Sandbox) -> str:
    bases = "\n".join(
        f"  base {base.id}: {', '.join(table.name for table in base.tables)}"
        for base in sandbox.state.bases.values()
    )
    return f"Airtable sandbox at {sandbox.url}, token {sandbox.token}\n{bases}"


if __name__ == "__main__":
    sys.exit(main())
