"""Programs that a machine may lack."""

import os

import pytest


def required(path: str | None, tests: str, missing: str, variable: str) -> str:
    """The program's path. Without it the tests are skipped; in CI, which sets the variable, they
    fail."""
    if path:
        return path
    if os.environ.get(variable):
        pytest.fail(f"{variable} is set, and {missing}")
    pytest.skip(f"{tests} were skipped: {missing}")
