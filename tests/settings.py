"""The settings of the tests' own process: log lines go only to pytest, which shows them with a test
that fails. Servers and commands that tests start use `siftly.settings`."""

from siftly.settings import *
from siftly.settings import LOGGING

LOGGING["root"] = {"handlers": [], "level": "INFO"}
