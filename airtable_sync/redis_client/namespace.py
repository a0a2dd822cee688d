"""Whose keys these are: several deployments may share a Redis."""

from dataclasses import dataclass

# Names with this prefix belong to all deployments of a base: Airtable counts requests by base.
SHARED_BY_BASE = "rate_limiter:"


@dataclass(frozen=True, slots=True)
class Namespace:
    """`name` is CACHE_NAMESPACE, which keeps two deployments of a base apart. `part` is a cache of
    its own in it: the contacts."""

    base_id: str
    name: str = ""
    part: str = ""

    def __str__(self) -> str:
        return f"{self.base_id}:{self.name}" if self.name else self.base_id

    def key(self, name: str) -> str:
        """The braces put all keys of a base into one slot of a Redis cluster, because scripts may
        only use keys of one. https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags"""
        base = f"{{{self.base_id or 'no base'}}}"
        if name.startswith(SHARED_BY_BASE):
            return f"{base}:{name}"
        return ":".join(filter(None, (base, self.name, self.part, name)))
