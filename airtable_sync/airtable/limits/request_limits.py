"""How long a request to Airtable may take, by who waits for it."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class RequestLimits:
    connect_seconds: float
    read_seconds: float  # for each piece of a response
    response_seconds: float  # for the whole response
    retry_pauses: tuple[float, ...]  # before each retry; empty: no retry
    rate_limit_pause: float  # before a retry after RATE_LIMIT_REACHED
    permit_seconds: float  # the longest wait for the rate limiter
    is_call: bool  # a caller waits: has priority over refreshes in the rate limiter

    def at_least(self, seconds: float) -> Self:
        """The same for somebody who waits so long: nothing gives up before."""
        return replace(
            self,
            read_seconds=max(self.read_seconds, seconds),
            response_seconds=max(self.response_seconds, seconds),
            permit_seconds=max(self.permit_seconds, seconds),
        )


# A caller waits: these are the least limits, more follows from the call's deadline
# (`AirtableClient.until`). A retry would only add load: an answer in time is worth more.
CALL_LIMITS = RequestLimits(
    connect_seconds=1.0,
    read_seconds=4.0,
    response_seconds=5.0,
    retry_pauses=(),
    rate_limit_pause=0.0,
    permit_seconds=6.0,
    is_call=True,
)
# One call finds out whether Airtable answers again. Its caller must not wait long for a "no".
PROBE_LIMITS = RequestLimits(
    connect_seconds=1.0,
    read_seconds=2.0,
    response_seconds=2.0,
    retry_pauses=(),
    rate_limit_pause=0.0,
    permit_seconds=2.0,
    is_call=True,
)
# An edit should be live within two seconds: retry soon.
CHANGE_LIMITS = RequestLimits(
    connect_seconds=3.0,
    read_seconds=10.0,
    response_seconds=20.0,
    retry_pauses=(1.0,),
    rate_limit_pause=30.5,
    permit_seconds=60.0,
    is_call=True,
)
# No call waits for a refresh, but the change feed may: so a hanging request ends after the same
# time as in CHANGE_LIMITS.
REFRESH_LIMITS = RequestLimits(
    connect_seconds=5.0,
    read_seconds=10.0,
    response_seconds=60.0,
    retry_pauses=(1.0, 2.0, 4.0, 8.0),
    rate_limit_pause=30.5,
    permit_seconds=120.0,
    is_call=False,
)
# A person waits for a command: one try each.
COMMAND_LIMITS = replace(REFRESH_LIMITS, retry_pauses=(), permit_seconds=30.0, is_call=True)
