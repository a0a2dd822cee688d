"""The answer as platforms would get it. Who knows the platforms registers here; this app does not
know them."""

from collections.abc import Callable
from dataclasses import dataclass

from airtable_sync.lookup.answerer import Answer


@dataclass(frozen=True)
class Shown:
    """The body of an answer in a platform's own format."""

    platform: str
    text: str


class _Registered:
    set_up: Callable[[], tuple[str, ...]] = staticmethod(lambda: ())
    show: Callable[[Answer], list[Shown]] = staticmethod(lambda _: [])


def register(set_up: Callable[[], tuple[str, ...]], show: Callable[[Answer], list[Shown]]) -> None:
    """`set_up` names the platforms that have a secret, `show` phrases an answer for each."""
    _Registered.set_up, _Registered.show = staticmethod(set_up), staticmethod(show)


def set_up() -> tuple[str, ...]:
    return _Registered.set_up()


def show(answer: Answer) -> list[Shown]:
    return _Registered.show(answer)
