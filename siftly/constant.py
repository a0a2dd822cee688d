"""What follows from settings is found out once: they do not change while a process lives. Django's
way to a setting takes a microsecond, and a call needs several."""

from collections.abc import Callable
from functools import _lru_cache_wrapper, cache
from typing import TypeVar

from django.core.signals import setting_changed

Value = TypeVar("Value")


def until_settings_change(
    kept: "_lru_cache_wrapper[Value]",
) -> "_lru_cache_wrapper[Value]":
    """Only tests change them."""
    setting_changed.connect(lambda **_: kept.cache_clear(), weak=False)
    return kept


def constant(function: Callable[[], Value]) -> Callable[[], Value]:
    return until_settings_change(cache(function))
