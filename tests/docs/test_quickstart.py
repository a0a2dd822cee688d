"""Tests docs/start/own-base.md: its five commands lead from a base to an answered call."""

import json
import re
import sys
from pathlib import Path

import pytest

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import LINK, Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.docs.pages import blocks
from tests.docs.test_documents import running, shell
from tests.support.cast import NUMBER
from tests.support.servers.ports import free_port
from tests.support.servers.server import ROOT

QUICKSTART = (ROOT / "docs/start/own-base.md").read_text(encoding="utf-8")
COMMANDS = [each.strip() for each in blocks(QUICKSTART, "sh")]
DUTCH_NUMBER = "+3292234567"


def dutch_base() -> Base:
    base = Base("appNederlands0000", "Klanten", [_lines(), _clients()])
    client = base.table("Klanten").create(
        {"Bedrijfsnaam": "Bakkerij Peeters", "Taal": "Nederlands", "Tarief": 29.990000000000002}
    )
    for typed in ("09 223 45 67", "+32 9 223 45 68"):  # the second shows the country
        base.table("Telefoonlijnen").create({"Telefoonnummer": typed, "Klant": [client.id]})
    return base


def _lines() -> Table:
    single = {"prefersSingleRecordLink": True}
    fields = [
        Field("Telefoonnummer", "phoneNumber"),
        Field("Klant", LINK, options=single, links_to="Klanten"),
    ]
    return Table("Telefoonlijnen", fields)


def _clients() -> Table:
    euros = {"precision": 2, "symbol": "€"}
    fields = [Field("Bedrijfsnaam"), Field("Taal"), Field("Tarief", "currency", options=euros)]
    return Table("Klanten", fields)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_five_commands_lead_from_a_base_to_an_answered_call(tmp_path: Path) -> None:
    """A base with names of its own. `tests/proposal` has the shipped layouts."""
    export, install, inspect, run, place = COMMANDS
    assert re.findall("[A-Z_]+(?==)", export) == [
        "AIRTABLE_API_KEY",
        "AIRTABLE_BASE_ID",
        "AIRTABLE_MAPPING",
    ]
    assert (install, run) == ("make install", "make run")
    mapping = tmp_path / "mapping.toml"
    with Sandbox([dutch_base()], requests_per_second=None) as airtable:
        exported = {**variables_of(airtable), "AIRTABLE_MAPPING": str(mapping)}
        shell(_here(inspect).replace("mapping.toml", str(mapping)), exported)
        with running(free_port(), tmp_path, exported):
            placed = _here(place).replace(".run/env", str(tmp_path / "env"))
            output = shell(placed.replace(NUMBER, DUTCH_NUMBER), exported)
    answer = json.loads(re.search(r"^\{.*^\}", output, re.M | re.S)[0])  # type: ignore[index]
    variables = answer["call_inbound"]["dynamic_variables"]
    assert (variables["bedrijfsnaam"], variables["tarief"]) == ("Bakkerij Peeters", "€29.99")


def _here(command: str) -> str:
    return command.replace(".venv/bin/python", sys.executable)
