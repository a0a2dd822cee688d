"""The settings of servers whose requests to Airtable a test counts."""

from siftly.settings import *
from siftly.settings import INSTALLED_APPS

INSTALLED_APPS[INSTALLED_APPS.index("airtable_sync")] = "tests.support.wide_window.WideWindowConfig"
