"""`manage.py inspect_airtable`: proposes a mapping from one's own base."""

import json
import os
import shlex
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.airtable.limits.request_limits import COMMAND_LIMITS
from airtable_sync.mapping.reference import SCHEMA
from airtable_sync.proposal.base import InspectedBase
from airtable_sync.proposal.candidates import Candidate, NotProposed, SeveralCandidates
from airtable_sync.proposal.examples import example_configs
from airtable_sync.proposal.proposal import Proposal, propose
from airtable_sync.proposal.reading import read_base
from airtable_sync.proposal.toml_text import quoted
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import services

NOT_PROPOSED = 1


class Command(BaseCommand):
    help = (
        "Propose a mapping: read the base's schema and a few records, with five requests at most. "
        "Exit status: 0 if a mapping was proposed, else 1."
    )

    requires_system_checks = ()  # it is run before there is a mapping

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--table", default="", help="the table with the called numbers, by name or id")
        add("--output", type=Path, metavar="FILE", help="write the mapping to this new file")
        add("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        output: Path | None = options["output"]
        if output and output.exists():
            raise CommandError(f"{output} exists, and is not overwritten. Choose another name.")
        base = _read_base()
        proposal = self._propose(base, options["table"], as_json=options["json"])
        toml = f"{_schema_line(output)}\n{proposal.toml}"
        if output:
            _write(output, toml)
        if options["json"]:
            self.stdout.write(_to_json(toml, proposal, example_configs(toml, base)))
            return
        if not output:
            self.stdout.write(toml, ending="")
        self._explain(proposal, example_configs(toml, base))

    def _propose(self, base: InspectedBase, table: str, *, as_json: bool) -> Proposal:
        try:
            return propose(base, table)
        except SeveralCandidates as error:
            if as_json:
                self.stdout.write(_failure_to_json(error, error.candidates))
            lines = [str(error), *map(_candidate_line, error.candidates)]
            raise CommandError("\n".join(lines), returncode=NOT_PROPOSED) from error
        except NotProposed as error:
            if as_json:
                self.stdout.write(_failure_to_json(error, []))
            raise CommandError(str(error), returncode=NOT_PROPOSED) from error
        except (AirtableError, CacheUnavailable) as error:
            raise CommandError(str(error), returncode=NOT_PROPOSED) from error

    def _explain(self, proposal: Proposal, examples: Mapping[str, Mapping[str, str]]) -> None:
        """On standard error, so that standard output is the file."""
        found = proposal.candidate
        lines = [f"{_count(found)} in {quoted(found.table.name)}; {proposal.requests} requests."]
        if proposal.undecided:
            lines += ["Could not be decided:", *(f"- {each}" for each in proposal.undecided)]
        for number, config in examples.items():
            lines.append(f"{number}: {json.dumps(config, indent=2, ensure_ascii=False)}")
        for line in lines:
            self.stderr.write(line, style_func=str)


def _read_base() -> InspectedBase:
    try:
        return read_base(services().new_client(COMMAND_LIMITS))
    except (AirtableError, CacheUnavailable) as error:
        raise CommandError(str(error), returncode=NOT_PROPOSED) from error


def _schema_line(output: Path | None) -> str:
    """With it, editors complete the words. Without `output` it fits a file in this folder."""
    folder = output.resolve().parent if output else Path.cwd()
    return f"#:schema {os.path.relpath(SCHEMA, folder)}"


def _write(output: Path, toml: str) -> None:
    try:
        output.write_text(toml, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{output} can't be written: {error.strerror}.") from error


def _candidate_line(candidate: Candidate) -> str:
    table, field = candidate.table, quoted(candidate.field.name)
    argument = shlex.quote(table.name if table.name.isprintable() else table.id)
    return (
        f"- {quoted(table.name)}: {_count(candidate)} in {field}. "
        f"manage.py inspect_airtable --table {argument}"
    )


def _count(candidate: Candidate) -> str:
    if candidate.numbers is None:
        return "not read"
    return f"{candidate.numbers} {'number' if candidate.numbers == 1 else 'numbers'}"


def _to_json(toml: str, proposal: Proposal, examples: Mapping[str, Mapping[str, str]]) -> str:
    return json.dumps(
        {
            "toml": toml,
            "table": proposal.candidate.table.name,
            "numbers": proposal.candidate.numbers,
            "undecided": proposal.undecided,
            "airtable_requests": proposal.requests,
            "examples": examples,
        }
    )


def _failure_to_json(error: NotProposed, candidates: list[Candidate]) -> str:
    found = [
        {"table": each.table.name, "field": each.field.name, "numbers": each.numbers}
        for each in candidates
    ]
    return json.dumps({"error": str(error), "candidates": found})
