"""`make run BASE=agency`: which sample base the sandbox serves."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.airtable.sample.agency import AGENCY_BASE_ID, AGENCY_MAPPING
from sandbox.samples import SAMPLES
from sandbox.stand_ins import start_stand_ins
from siftly.environment import BASE_DIR

AIRTABLE_VARIABLES = ("AIRTABLE_API_URL", "AIRTABLE_API_KEY", "AIRTABLE_BASE_ID")


def test_the_sandbox_starts_with_the_base_and_its_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    for name in (*AIRTABLE_VARIABLES, "AIRTABLE_MAPPING", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with contextlib.ExitStack() as stack:
        variables = start_stand_ins(stack, tmp_path, SAMPLES["agency"])
    assert variables["AIRTABLE_BASE_ID"] == AGENCY_BASE_ID
    assert variables["AIRTABLE_MAPPING"] == str(AGENCY_MAPPING)
    with contextlib.ExitStack() as stack:
        assert "AIRTABLE_MAPPING" not in start_stand_ins(stack, tmp_path, SAMPLES["siftly"])


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *options],
        cwd=BASE_DIR,
        env={
            "PATH": os.environ["PATH"],
            "TMPDIR": os.environ["TMPDIR"],
            "ENV_FILE": os.devnull,
            **variables,
        },
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def test_an_unknown_base_is_one_sentence_that_lists_the_known_ones() -> None:
    done = run("--base", "shop")
    assert done.returncode == 2
    assert done.stderr == "make run: there is no base 'shop'; use siftly or agency.\n"


def test_a_sample_base_is_refused_beside_an_airtable_base_of_the_environment() -> None:
    done = run("--base", "agency", AIRTABLE_API_KEY="pat_own")
    assert done.returncode == 1
    assert "AIRTABLE_API_KEY" in done.stderr
    assert "pat_own" not in done.stderr


def test_make_passes_the_base_on() -> None:
    assert "python -m sandbox --base 'agency'" in recipe("BASE=agency")
    assert "--base" not in recipe()


def recipe(*options: str) -> str:
    """What `make run` would run."""
    command = ["make", "-n", "run", *options]
    env = {"PATH": os.environ["PATH"], "TMPDIR": os.environ["TMPDIR"]}
    return subprocess.run(
        command, cwd=BASE_DIR, env=env, capture_output=True, check=True, text=True
    ).stdout
