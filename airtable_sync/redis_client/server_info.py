"""What a Redis says about itself with INFO. Some services and users may not be asked, or leave
values out. https://redis.io/docs/latest/commands/info/"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NO_EVICTION = "noeviction"
_POLICIES_WITH_A_LIMIT = ("allkeys-", "volatile-")  # Redis' own: nothing is removed without a limit


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """None and "": Redis does not say."""

    product: str = ""  # Redis or Valkey
    version: str = ""
    used_bytes: int | None = None
    max_bytes: int | None = None  # 0: no limit
    policy: str = ""  # what it does when its memory is full: `maxmemory-policy`
    evicted_keys: int | None = None  # since it started, of all applications

    @property
    def may_evict(self) -> bool:
        """Whether it may remove entries that have not expired. A policy that is not Redis' own may
        have a limit that INFO does not tell: Upstash's is optimistic-volatile.
        https://upstash.com/docs/redis/features/eviction"""
        has_no_limit = self.max_bytes == 0 and self.policy.startswith(_POLICIES_WITH_A_LIMIT)
        return self.policy not in ("", NO_EVICTION) and not has_no_limit

    def is_older_than(self, oldest: tuple[int, int]) -> bool:
        """False if Redis does not tell its version."""
        numbers = re.match(r"(\d+)\.(\d+)", self.version)
        return numbers is not None and tuple(map(int, numbers.groups())) < oldest

    def memory(self) -> str:
        """`24.9 MB of 25.0 MB used`; "" if Redis does not say."""
        if self.used_bytes is None:
            return ""
        limit = f" of {readable_size(self.max_bytes)}" if self.max_bytes else ""
        return f"{readable_size(self.used_bytes)}{limit} used"


def server_info(values: Mapping[str, Any]) -> ServerInfo:
    """From redis-py's parsed INFO."""
    is_valkey = "valkey_version" in values
    version = values.get("valkey_version" if is_valkey else "redis_version", "")
    return ServerInfo(
        product="Valkey" if is_valkey else "Redis" if version else "",
        version=str(version),
        used_bytes=_number(values, "used_memory"),
        max_bytes=_number(values, "maxmemory"),
        policy=str(values.get("maxmemory_policy", "")),
        evicted_keys=_number(values, "evicted_keys"),
    )


def readable_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def _number(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    return value if isinstance(value, int) else None
