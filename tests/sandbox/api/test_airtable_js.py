"""Airtable's own client for Node works with the sandbox."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE

pytestmark = pytest.mark.slow
VERSION = "airtable@0.12.2"
SCRIPT = """
const Airtable = require("airtable");
const [endpointUrl, apiKey, baseId] = process.argv.slice(2);
const table = new Airtable({ endpointUrl, apiKey }).base(baseId)("People");

async function main() {
  const seen = {};
  const all = await table.select({ pageSize: 2, sort: [{ field: "Name" }] }).all();
  seen.all = all.map((record) => record.get("Name"));
  const formula = "{Name} = 'Bob O\\\\'Brien'";
  const found = await table.select({ filterByFormula: formula, fields: ["Name"] }).firstPage();
  seen.found = found.map((record) => record.fields);
  const long = "OR(" + Array(900).fill("{Name} = 'Charlie'").join(",") + ")";
  seen.long = (await table.select({ filterByFormula: long }).all()).length;
  const created = await table.create([{ fields: { Name: "Dora" } }, { fields: { Name: "Ed" } }]);
  seen.created = created.map((record) => record.get("Name"));
  const updated = await table.update(created[0].id, { Age: 7 });
  seen.updated = updated.fields;
  seen.replaced = (await table.replace(created[0].id, { Name: "D" })).fields;
  seen.read = (await table.find(created[0].id)).fields;
  const destroyed = await table.destroy(created.map((record) => record.id));
  seen.destroyed = destroyed.length;
  const gone = await table.find(created[0].id).catch((error) => error);
  seen.gone = [gone.error, gone.statusCode];
  seen.view = (await table.select({ view: "No" }).all().catch((error) => error)).error;
  console.log(JSON.stringify(seen));
}
main();
"""


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client installed and the script."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("NOT TESTED: Airtable's own client, because Node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text("{}")
    (folder / "script.js").write_text(SCRIPT)
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", VERSION]
    subprocess.run(command, cwd=folder, check=True, timeout=100)
    return folder


def run(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    arguments = ["node", "script.js", sandbox.url, sandbox.token, PEOPLE]
    response = subprocess.check_output(arguments, cwd=folder, text=True, timeout=30)
    seen: dict[str, Any] = json.loads(response)
    return seen


def test_it_reads_filters_creates_updates_and_destroys(
    node_folder: Path, sandbox: Sandbox, people: Table
) -> None:
    assert run(node_folder, sandbox) == {
        "all": ["Alice", "Bob O'Brien", "Charlie"],
        "found": [{"Name": "Bob O'Brien"}],
        "long": 1,
        "created": ["Dora", "Ed"],
        "updated": {"Name": "Dora", "Age": 7},
        "replaced": {"Name": "D"},
        "read": {"Name": "D"},
        "destroyed": 2,
        "gone": ["NOT_FOUND", 404],
        "view": "VIEW_NAME_NOT_FOUND",
    }
    assert len(people.records) == 3
    assert "/listRecords" in " ".join(request.path for request in sandbox.requests)
