"""A Python file as a module, without its package."""

import importlib.util
from pathlib import Path
from typing import Any


def module_of(file: Path, name: str = "") -> Any:
    spec = importlib.util.spec_from_file_location(name or file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
