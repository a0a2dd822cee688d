"""`manage.py mapping`: what it prints, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest

from airtable_sync.mapping.source import DEFAULT
from airtable_sync.models import MappingDraft, MappingVersion
from airtable_sync.refresh import background_process
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.commands import refresh, run
from tests.support.services import forget_services, services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
TEXT = DEFAULT.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def saved_mapping(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is named, and no process is started."""
    settings.AIRTABLE_MAPPING = ""
    monkeypatch.setattr(background_process, "start_command", _not_started)


def _not_started(*_: Any, **__: Any) -> Any:
    raise OSError("no process is started in this test")


def save(folder: Path, text: str, *more: str) -> tuple[int, str]:
    file = folder / "mapping.toml"
    file.write_text(text, encoding="utf-8")
    status, output = run("mapping", "save", str(file), *more)
    forget_services()
    return status, output


def test_a_version_is_saved_published_and_listed(tmp_path: Path, airtable: Sandbox) -> None:
    assert refresh()["numbers"] == 26
    changed = TEXT.replace("required = true", "")
    status, output = save(tmp_path, changed, "--note", "not required")
    assert (status, "26 numbers, 0 added, 0 changed, 0 removed" in output) == (0, True), output
    assert run("mapping", "show")[1].startswith(changed)
    assert services().command_store.namespace.generation
    assert services().command_store.count_known() == 26
    assert save(tmp_path, changed) == (
        0,
        "Version 1, saved in the database already has this text.\n",
    )
    assert save(tmp_path, TEXT)[0] == 0
    lines = run("mapping", "versions")[1].splitlines()
    assert [line[0] for line in lines] == ["2", "1"]
    assert lines[1].endswith("not required")
    assert MappingDraft.objects.count() == 0
    refresh("--full")  # it removes the sets that no process uses
    assert services().generations.others() == [""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[numbers]\ntabel = 'x'\n", "did you mean table?"),
        (f"{TEXT}# {'x' * 1_000_000}", "is too large: a mapping has at most a megabyte"),
        (TEXT.replace('"client"', '"nowhere"'), "there is no table nowhere"),
        (TEXT.replace('number_field = "twilio_number"', 'number_field = "client"'), "no number"),
    ],
    # A test's name is put into the environment, where a megabyte has no room.
    ids=["word", "size", "table", "number"],
)
def test_a_mapping_that_can_not_be_published_is_not_saved(
    tmp_path: Path, airtable: Sandbox, text: str, message: str
) -> None:
    refresh()
    status, output = save(tmp_path, text)
    assert status == 1
    assert message in output
    assert MappingVersion.objects.count() == 0
    assert services().command_store.count_known() == 26


def test_nothing_is_saved_while_airtable_is_down(tmp_path: Path, airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=401, times=None))
    status, _ = save(tmp_path, TEXT)
    assert status == 1
    assert MappingVersion.objects.count() == 0


def test_a_file_wins(tmp_path: Path, airtable: Sandbox, settings: Any) -> None:
    assert save(tmp_path, TEXT)[0] == 0
    settings.AIRTABLE_MAPPING = str(DEFAULT)
    status, output = save(tmp_path, TEXT)
    assert status == 1
    assert "AIRTABLE_MAPPING names a file, and the file wins" in output
    assert services().command_store.namespace.generation == ""
