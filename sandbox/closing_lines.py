"""What `make run` prints when it serves."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.samples import Sample
from siftly.environment import BASE_DIR

AIRTABLE = "https://api.airtable.com"


@dataclass(frozen=True)
class Prepared:
    """`password` is of the login that was created; `problem` is why nothing was published;
    `called_number` is one of those that are published, "" if there is none."""

    password: str | None
    problem: str
    called_number: str


@dataclass(frozen=True)
class SampleNumbers:
    called: str
    caller: str

    @classmethod
    def of(cls, sample: Sample) -> "SampleNumbers":
        return cls(sample.called_number, sample.known_caller)


def published_number() -> str:
    """One of the called numbers that are published; "" if there is none."""
    from airtable_sync.cache.contacts import is_contact
    from airtable_sync.services import services

    entries = services().snapshots.newest_entries()
    numbers = (each.number for each in entries if each.is_known and not is_contact(each.number))
    return next(numbers, "")


def closing_lines(
    run_dir: Path, port: int, prepared: Prepared, sample: SampleNumbers | None
) -> str:
    """`sample` is None for a base of the user's own."""
    url = f"http://127.0.0.1:{port}"
    env = _for_shell(run_dir / "env")
    password = prepared.password
    login = f"admin, password {password}" if password else "your own (manage.py createsuperuser)"
    number = sample.called if sample else prepared.called_number or "NUMBER"
    manage = f"(. {env}; {_for_shell(Path(sys.executable))} manage.py"
    call = f"{manage} place_call {number} --url {url}"
    by_contact = f"\n  ... by a contact {call} --caller {sample.caller})" if sample else ""
    return f"""
{_state(prepared, manage)}

  Place a call   {call}){by_contact if sample and sample.caller else ""}
  Admin          {url}/admin/  login: {login}
  Status page    {url}/admin/cache/
  Airtable       {os.environ.get("AIRTABLE_API_URL", AIRTABLE)}
  Other commands in another terminal; run this there first:  . {env}
  Stop           Ctrl-C
"""


def _state(prepared: Prepared, manage: str) -> str:
    if not prepared.problem:
        return "Siftly is running."
    served = "what was published before" if prepared.called_number else "the default variables"
    return f"""Siftly is running, but it could not publish what is in Airtable: calls get {served}.
  {prepared.problem}
  Try Airtable   {manage} check_cache)"""


def _for_shell(path: Path) -> str:
    """A path as a shell in Siftly's folder needs it."""
    path = path.absolute()
    return shlex.quote(str(path.relative_to(BASE_DIR) if path.is_relative_to(BASE_DIR) else path))
