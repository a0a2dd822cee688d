"""Runs management commands in this process."""

import io
import json
from typing import Any

from django.core.management import CommandError, call_command


def run(*arguments: str) -> tuple[int, str]:
    """Returns the exit status and the whole output."""
    output = io.StringIO()
    try:
        call_command(*arguments, stdout=output)
    except CommandError as error:
        return error.returncode, output.getvalue() + str(error)
    except SystemExit as error:
        return int(error.code or 0), output.getvalue()
    return 0, output.getvalue()


def refresh(*arguments: str) -> dict[str, Any]:
    """Run refresh_airtable_cache. Returns its JSON, and its exit status as `exit`."""
    output = io.StringIO()
    status = 0
    try:
        call_command("refresh_airtable_cache", "--json", *arguments, stdout=output)
    except CommandError as error:
        status = error.returncode
    return {**json.loads(output.getvalue()), "exit": status}


def counts(report: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(report[name] for name in ("exit", "status", "added", "changed", "removed"))
