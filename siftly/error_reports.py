"""Django's error pages and reports, which hide what looks like a secret. Addresses do, too: they
hold passwords."""

import re

from django.views.debug import SafeExceptionReporterFilter


class Filter(SafeExceptionReporterFilter):
    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|URL|LOCATION|DSN", re.IGNORECASE
    )
