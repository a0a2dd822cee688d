"""The environment of all tests, loaded before the settings are: none of the developer's own."""

import os
import re
from pathlib import Path

_EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
for _name in re.findall(r"^# ([A-Z_]+)=", _EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE):
    os.environ.pop(_name, None)

os.environ.update(
    ENV_FILE=os.devnull,
    SECRET_KEY="only-for-tests-" + 4 * "0123456789",
    RETELL_API_KEY="key_tests",
    NO_PROXY="*",
)
# `make test-postgres` runs what uses the database on a PostgreSQL instead of SQLite.
if "TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
