"""The command inspect_airtable, with the sandbox's Airtable."""

import io
import json
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command

from airtable_sync.mapping.reference import SCHEMA
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.commands import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_redis")]


def test_it_prints_the_mapping_and_explains_it_on_standard_error(airtable: Sandbox) -> None:
    output, errors = io.StringIO(), io.StringIO()
    call_command("inspect_airtable", stdout=output, stderr=errors)
    assert output.getvalue().startswith("#:schema ")
    assert tomllib.loads(output.getvalue())["numbers"]["table"] == "twilio_number"
    assert '26 numbers in "twilio_number"; 5 requests.' in errors.getvalue()
    assert errors.getvalue().count('"customer_name": "') == 3
    assert len(airtable.requests) == 5


def test_it_writes_a_new_file_that_names_its_schema(airtable: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    assert run("inspect_airtable", "--output", str(path)) == (0, "")
    text = path.read_text()
    assert (tmp_path / text.splitlines()[0].removeprefix("#:schema ")).resolve() == SCHEMA
    assert tomllib.loads(text)["numbers"]["table"] == "twilio_number"


def test_it_overwrites_no_file(airtable: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text("mine")
    status, output = run("inspect_airtable", "--output", str(path))
    assert (status, output) == (1, f"{path} exists, and is not overwritten. Choose another name.")
    assert (path.read_text(), airtable.requests) == ("mine", [])


def test_it_prints_one_json_object(airtable: Sandbox) -> None:
    status, output = run("inspect_airtable", "--json")
    report = json.loads(output)
    assert (status, report["table"], report["numbers"]) == (0, "twilio_number", 26)
    assert (report["undecided"], report["airtable_requests"]) == ([], 5)
    assert tomllib.loads(report["toml"])


def test_it_lists_several_tables_with_the_command_that_chooses(airtable: Sandbox) -> None:
    base = airtable.base()
    for table in list(base.tables):
        base.remove_table(table.id)
    for name in ("Shops", "Ann's garages"):
        table = base.add_table(Table(name, [Field("Phone", "phoneNumber")]))
        table.create({"Phone": "+32 460 23 42 91"})
    status, output = run("inspect_airtable")
    assert status == 1
    assert '- "Shops": 1 number in "Phone". manage.py inspect_airtable --table Shops' in output
    assert "--table 'Ann'\"'\"'s garages'" in output
    status, output = run("inspect_airtable", "--table", "Ann's garages")
    assert (status, tomllib.loads(output)["numbers"]["table"]) == (0, "Ann's garages")


def test_it_exits_with_1_and_the_tables_there_are(airtable: Sandbox) -> None:
    status, output = run("inspect_airtable", "--table", "lines")
    assert status == 1
    assert output.startswith('There is no table "lines". The base has these tables: "twilio_numb')


def test_it_exits_with_1_if_the_token_may_not_read_the_schema(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=403, times=None))
    status, output = run("inspect_airtable")
    assert status == 1
    assert output.endswith("Check that the token has the scope schema.bases:read.")
    assert len(airtable.requests) == 1
