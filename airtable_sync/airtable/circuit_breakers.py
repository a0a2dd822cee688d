"""Circuit breakers: who fails again and again is left alone for a while, then tried by one call.

Connection errors and timeouts count. An answer is a success, also one that says "no": a wrong token
or a full Redis does not get better by not asking."""

from interlock import CircuitBreaker, Config
from interlock.window import WindowType
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from airtable_sync.airtable.errors import LocallyKnownQuotaExceeded, LocallyRateLimited, Unavailable


class _Counts:
    """Only these exceptions are failures; django-redis wraps Redis' own in one of its."""

    def __init__(self, *exceptions: type[Exception]) -> None:
        self.exceptions = exceptions

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:  # noqa: ARG002
        cause = exception.__cause__ if exception else None
        return isinstance(exception, self.exceptions) or isinstance(cause, self.exceptions)


def _breaker(
    name: str,
    counts: _Counts,
    *,
    window_seconds: int,
    open_seconds: float,
    not_asked: tuple[type[Exception], ...] = (),
) -> CircuitBreaker:
    """`not_asked` are errors that say nothing about the other side, for it was not asked."""
    config = Config(
        window_type=WindowType.TIME_BASED,
        window_size=window_seconds,
        minimum_number_of_calls=3,
        failure_rate_threshold=0.5,
        wait_duration_in_open=open_seconds,
        permitted_calls_in_half_open=1,
        max_concurrent_probes=1,
    )
    return CircuitBreaker(
        name=name, config=config, classifier=counts, unreachable_exceptions=not_asked
    )


REDIS = _breaker(
    "redis",
    _Counts(RedisConnectionError, RedisTimeoutError, OSError),
    window_seconds=5,
    open_seconds=1.0,
)
AIRTABLE = _breaker(
    "airtable",
    _Counts(Unavailable),
    window_seconds=30,
    open_seconds=5.0,
    not_asked=(LocallyRateLimited, LocallyKnownQuotaExceeded),
)
