"""Sets up the log at the start of a process, and closes it at the end."""

import logging
import logging.config
from typing import Any


def configure_logging(config: dict[str, Any]) -> None:
    """Configure logging from settings.LOGGING. Django calls this function (LOGGING_CONFIG)."""
    _skip_unused_attributes()
    logging.config.dictConfig(config)


def _skip_unused_attributes() -> None:
    """Do not find out a record's thread, process and caller: our lines do not show them, and they
    take half the time of a record. https://docs.python.org/3/howto/logging.html#optimization"""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - Python documents this as the way to do it


def close_log() -> None:
    """Write the waiting lines. For a process that ends without `atexit`."""
    for handler in logging.getLogger().handlers:
        handler.close()
