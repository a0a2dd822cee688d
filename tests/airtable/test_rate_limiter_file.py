"""The rate limiter's file is in the temporary folder, which belongs to everyone."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from airtable_sync.airtable.limits.rate_limiter_file import HostFile


def link_to_a_file(path: Path) -> None:
    target = path.with_name("precious")
    target.write_text("precious")
    path.symlink_to(target)


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("created"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("prepare", [link_to_a_file, link_to_nothing, pipe, folder])
def test_what_another_user_has_put_there_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, prepare: Callable[[Path], None]
) -> None:
    path = tmp_path / "limiter"
    prepare(path)
    before = sorted(tmp_path.iterdir())
    file = HostFile(path, 5)
    for start in (1.0, 2.0):
        with file.locked() as host:
            host["starts"].append(start)
    with file.locked() as host:
        assert host["starts"] == [1.0, 2.0]  # this process keeps them
    assert sorted(tmp_path.iterdir()) == before
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert "set TMPDIR to a folder of this user's own." in caplog.text


def test_the_file_of_another_user_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if os.getuid():
        pytest.skip("Only root can give a file to another user.")
    path = tmp_path / "limiter"
    path.write_text("theirs")
    os.chown(path, 65534, 65534)
    with HostFile(path, 5).locked() as host:
        host["starts"].append(1.0)
    assert path.read_text() == "theirs"
    assert "is not a file of this user" in caplog.text


def test_only_this_user_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "limiter"
    with HostFile(path, 5).locked():
        pass
    assert path.stat().st_mode & 0o777 == 0o600


def test_on_a_full_disk_a_process_keeps_its_own_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit of a file's size has the same effect as a full disk."""
    path = tmp_path / "limiter"
    file = HostFile(path, 5)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, usual[1]))
    try:
        for start in (1.0, 2.0):
            with file.locked() as host:
                host["starts"].append(start)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert "Make room there" in caplog.text
    with file.locked() as host:
        host["starts"].append(3.0)
    with HostFile(path, 5).locked() as host:
        assert host["starts"] == [1.0, 2.0, 3.0]
