"""The file of `make run` for other terminals, which gives commands the same environment."""

from collections.abc import Mapping
from pathlib import Path

from siftly.environment import names


def write_env_file(file: Path, variables: Mapping[str, str]) -> None:
    """Also unsets what is not set here: another terminal may have it."""
    lines = [_line(name, variables.get(name)) for name in sorted({*names(), "ENV_FILE"})]
    file.write_text("".join(lines), encoding="utf-8")


def _line(name: str, value: str | None) -> str:
    if value is None:
        return f"unset {name}\n"
    escaped = value.replace("'", "'\\''")
    return f"export {name}='{escaped}'\n"
