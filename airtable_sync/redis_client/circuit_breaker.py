"""Circuit breakers. After repeated failures a breaker opens for a while; then one call probes.

Connection errors and timeouts count as failures. An answer is a success, also an error answer: a
wrong token or a full Redis does not improve by waiting."""

from interlock import CircuitBreaker, Config
from interlock.window import WindowType
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class OnlyTheseFailures:
    """A classifier for interlock. django-redis wraps Redis' errors: the cause is looked at too."""

    def __init__(self, *exceptions: type[Exception]) -> None:
        self._exceptions = exceptions

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        del result  # part of interlock's interface
        cause = exception.__cause__ if exception else None
        return isinstance(exception, self._exceptions) or isinstance(cause, self._exceptions)


def new_circuit_breaker(
    name: str,
    failures: OnlyTheseFailures,
    *,
    window_seconds: int,
    open_seconds: float,
    not_sent: tuple[type[Exception], ...] = (),
) -> CircuitBreaker:
    """Opens when half of at least three calls within the window failed. `not_sent` are errors of
    requests that were never sent: they count neither as success nor as failure."""
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
        name=name, config=config, classifier=failures, unreachable_exceptions=not_sent
    )


def redis_circuit_breaker() -> CircuitBreaker:
    failures = OnlyTheseFailures(RedisConnectionError, RedisTimeoutError, OSError)
    return new_circuit_breaker("redis", failures, window_seconds=5, open_seconds=1.0)
