"""The settings of the tests' own process: log lines go only to pytest, which shows them with a test
that fails. Servers and commands that tests start use `siftly.settings`."""

from siftly.environment import mapping_path
from siftly.settings import *
from siftly.settings import DATABASES, LOGGING
from tests.support.whole_run import run_folder

LOGGING["root"] = {"handlers": [], "level": "INFO"}

# Not the version that the database has: most tests use no database.
AIRTABLE_MAPPING = mapping_path("siftly")

# A file: Django never closes connections to a database in memory, not even when a thread ends.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": str(run_folder() / "tests.sqlite3")}

# The slow parts of Django that no test is about.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # the list of all static files is not made for each test's client
