"""The settings that Siftly's objects are built from, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Configuration:
    """docs/reference/settings.md describes each name."""

    has_redis: bool
    airtable_api_key: str = field(repr=False)
    airtable_base_id: str
    airtable_api_url: str
    mapping_path: str
    to_numbers: tuple[str, ...]
    cache_namespace: str
    cache_ttl_seconds: int
    cache_stale_seconds: int
    cache_negative_seconds: int
    replica_max_bytes: int
    airtable_plan: str
    airtable_changes: str
    airtable_poll_seconds: float | None
    public_url: str
    refresh_min_share: float
    refresh_max_conflict_share: float
    default_variables: Mapping[str, str]
    version: str
    has_alerts: bool

    @property
    def follows_changes(self) -> bool:
        """Whether this deployment reads the change feed."""
        return self.has_redis and self.airtable_changes != "off" and bool(self.airtable_api_key)

    @classmethod
    def from_settings(cls, settings: Any) -> "Configuration":
        return cls(
            has_redis=bool(settings.REDIS_URL),
            airtable_api_key=settings.AIRTABLE_API_KEY or "",
            airtable_base_id=settings.AIRTABLE_BASE_ID or "",
            airtable_api_url=settings.AIRTABLE_API_URL,
            mapping_path=settings.AIRTABLE_MAPPING,
            to_numbers=tuple(settings.TO_NUMBERS),
            cache_namespace=settings.CACHE_NAMESPACE,
            cache_ttl_seconds=settings.CACHE_TTL_SECONDS,
            cache_stale_seconds=settings.CACHE_STALE_SECONDS,
            cache_negative_seconds=settings.CACHE_NEGATIVE_SECONDS,
            replica_max_bytes=settings.REPLICA_MAX_BYTES,
            airtable_plan=settings.AIRTABLE_PLAN or "",
            airtable_changes=settings.AIRTABLE_CHANGES,
            airtable_poll_seconds=settings.AIRTABLE_POLL_SECONDS,
            public_url=settings.PUBLIC_URL or "",
            refresh_min_share=settings.REFRESH_MIN_SHARE,
            refresh_max_conflict_share=settings.REFRESH_MAX_CONFLICT_SHARE,
            default_variables=settings.DEFAULT_VARIABLES,
            version=settings.VERSION,
            has_alerts=bool(settings.ALERT_URLS),
        )
