#!/usr/bin/env python
"""Django's command line: `python manage.py help` lists the commands."""

import gc
import os
import sys

from django.core.management import execute_from_command_line

from siftly.closed_output import quiet_if_closed

# Garbage collections take a sixth of a command's start, and a twentieth of a refresh: they look at
# every imported module again. Commands make few objects that refer to each other.
COLLECT_AFTER = 50_000  # new objects


def main() -> None:
    gc.set_threshold(COLLECT_AFTER)
    os.umask(0o077)  # the files it creates, such as SQLite's, are for this user only
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    with quiet_if_closed():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
