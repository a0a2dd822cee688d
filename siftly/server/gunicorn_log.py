"""gunicorn's own lines in the log's own format. They are written at once, as gunicorn does it: the
master forks, and its lines are few."""

import logging
import sys
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from gunicorn.glogging import Logger

from siftly.server.logs import formatter_named


class ServerLog(Logger):  # type: ignore[misc]
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter_named(settings.LOG_FORMAT))


def refuse_to_start_with_errors() -> None:
    """Say all that is wrong, an event each; end the process if an error is among it."""
    found = [each for each in run_checks() if not each.is_silenced()]
    formatter = formatter_named(settings.LOG_FORMAT)
    for each in sorted(found, key=lambda message: -message.level):
        print(formatter.format(_record(each)), file=sys.stderr)  # noqa: T201 - there is no log yet
    if any(each.is_serious() for each in found):
        sys.exit(1)


def _record(found: CheckMessage) -> logging.LogRecord:
    message = f"{found.msg} {found.hint}" if found.hint else found.msg
    record = logging.LogRecord("siftly.checks.settings", found.level, "", 0, message, (), None)
    record.check = found.id
    return record
