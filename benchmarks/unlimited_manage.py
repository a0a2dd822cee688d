"""`python -m benchmarks.unlimited_manage …` is `manage.py` without Airtable's rate limit."""

import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from manage import COLLECT_AFTER

STARTS_PER_WINDOW = 1_000


def main() -> None:
    gc.set_threshold(COLLECT_AFTER)
    os.environ["DJANGO_SETTINGS_MODULE"] = "siftly.settings"
    import django
    from django.apps import apps
    from django.conf import settings
    from django.core.management import execute_from_command_line

    django.setup()
    from airtable_sync.configuration import Configuration
    from airtable_sync.services import build_services

    with tempfile.TemporaryDirectory() as folder:
        app = cast("Any", apps.get_app_config("airtable_sync"))
        app.services = build_services(
            Configuration.from_settings(settings),
            starts_per_window=STARTS_PER_WINDOW,
            rate_limiter_file=Path(folder, "rate-limiter"),
        )
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
