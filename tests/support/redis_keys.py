"""The keys in Redis of the deployment that the settings describe."""

from tests.support.services import services


def redis_key(name: str) -> str:
    return services().call_store.full_key(name)
