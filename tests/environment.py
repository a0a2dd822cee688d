"""The environment of all tests, loaded before the settings are: none of the developer's own."""

import os

_OURS = ("REDIS_", "AIRTABLE_", "CACHE_", "DATABASE_", "DEFAULT_", "RENDER", "TO_NUMBERS")
for _name in list(os.environ):
    if _name.startswith(_OURS):
        del os.environ[_name]

os.environ.update(
    ENV_FILE=os.devnull,
    SECRET_KEY="only-for-tests",
    RETELL_API_KEY="key_tests",
    NO_PROXY="*",
)
