"""gunicorn's own log lines in Siftly's format."""

from typing import Any

from django.conf import settings
from gunicorn.glogging import Logger

from siftly.server.log_format import formatter_for


class GunicornLogger(Logger):  # type: ignore[misc]  # gunicorn has no type information
    """Keeps gunicorn's handlers, which write in the foreground: the main process forks, and logs
    only a few lines."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter_for(settings.LOG_FORMAT))
