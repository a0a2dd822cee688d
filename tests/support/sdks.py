"""Modules of the vendors' SDKs, imported alone: a whole SDK takes up to six seconds."""

import importlib.util
from pathlib import Path
from typing import Any

from tests.support.modules import module_of


def sdk_module(package: str, path: str) -> Any:
    """The module in this file of an installed package."""
    found = importlib.util.find_spec(package)
    assert found
    assert found.origin
    file = Path(found.origin).parent / path
    return module_of(file, f"{package}_{file.stem}")
