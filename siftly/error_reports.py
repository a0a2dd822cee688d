"""Hides secrets on Django's error pages and in its error reports."""

import re

from django.views.debug import SafeExceptionReporterFilter


class SecretFilter(SafeExceptionReporterFilter):
    """Also hides URLs, because they contain passwords."""

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|URL|LOCATION|DSN", re.IGNORECASE
    )
