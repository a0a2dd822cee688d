"""Modules of the vendors' SDKs, imported alone: a whole SDK takes up to six seconds."""

import importlib.util
from pathlib import Path
from typing import Any


def sdk_module(package: str, path: str) -> Any:
    """The module in this file of an installed package."""
    found = importlib.util.find_spec(package)
    assert found
    assert found.origin
    file = Path(found.origin).parent / path
    spec = importlib.util.spec_from_file_location(f"{package}_{file.stem}", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
