"""What is concluded from Redis' INFO."""

import pytest

from airtable_sync.redis_client.server_info import ServerInfo


@pytest.mark.parametrize(
    ("policy", "max_bytes", "may_evict"),
    [
        ("noeviction", 100, False),
        ("allkeys-lru", 100, True),
        ("volatile-lru", 100, True),
        ("allkeys-lru", 0, False),  # without a limit nothing is removed
        ("allkeys-lru", None, True),
        ("optimistic-volatile", 0, True),  # Upstash's
        ("optimistic-volatile", None, True),
        ("", None, False),
    ],
)
def test_a_policy_that_may_remove_entries(
    policy: str, max_bytes: int | None, may_evict: bool
) -> None:
    assert ServerInfo(policy=policy, max_bytes=max_bytes).may_evict is may_evict


@pytest.mark.parametrize(
    ("version", "is_older"),
    [("6.0.16", True), ("6.2.0", False), ("7.4.1", False), ("10.0.1", False), ("", False)],
)
def test_a_version_that_is_too_old(version: str, is_older: bool) -> None:
    assert ServerInfo(version=version).is_older_than((6, 2)) is is_older
