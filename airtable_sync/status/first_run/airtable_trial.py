"""Tries what the token may do, and whether the mapping fits the base. Airtable says the scopes of a
personal access token only by accepting or refusing a request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import AccessDenied, AirtableError, NotFound, WebhooksDenied
from airtable_sync.airtable.limits.request_limits import CALL_LIMITS
from airtable_sync.airtable.webhooks_api import WebhooksApi
from airtable_sync.mapping.records import BaseTables
from airtable_sync.mapping.resolve import missing_in_base
from airtable_sync.mapping.schema import MappingError, Source
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services

SCHEMA, RECORDS, WEBHOOKS = "schema.bases:read", "data.records:read", "webhook:manage"
Result = TypeVar("Result")
Denials = dict[str, AirtableError]  # a scope, and Airtable's answer


@dataclass(frozen=True)
class AirtableTrial:
    token_problem: str = ""  # a sentence with what to do
    misfit: str = ""  # what the base lacks of the mapping, as a sentence


def try_airtable(used: Services) -> AirtableTrial:
    """Two requests, three with the change feed. Never raises."""
    client, denials = used.new_client(CALL_LIMITS), Denials()
    try:
        tables = _tried(denials, SCHEMA, client.read_tables)
        _tried(denials, RECORDS, lambda: _read_records(used, client, tables))
        if used.configuration.follows_changes:
            _tried(denials, WEBHOOKS, WebhooksApi(client).all)
    except (AirtableError, CacheUnavailable, MappingError) as error:
        return AirtableTrial(str(error))
    misfit = _misfit(used, tables) if tables else ""
    return AirtableTrial(_sentence(denials, used.configuration.airtable_base_id), misfit)


def _tried(denials: Denials, scope: str, ask: Callable[[], Result]) -> Result | None:
    try:
        return ask()
    except (AccessDenied, NotFound, WebhooksDenied) as error:
        denials[scope] = error
        return None


def _read_records(used: Services, client: AirtableClient, tables: BaseTables | None) -> None:
    """Of any table: the mapping may not fit yet."""
    names = list(tables.ids) if tables else [used.active_mapping.mapping.roots[0].table]
    for name in names[:1]:
        next(client.pages(Source(name)))


def _sentence(denials: Denials, base_id: str) -> str:
    if not denials:
        return ""
    first = str(next(iter(denials.values())))
    if " 401 " in first:
        return "Airtable does not know the token: create a new one, and set `AIRTABLE_API_KEY`."
    scopes = " and ".join(f"`{each}`" for each in denials)
    word = "scope" if len(denials) == 1 else "scopes"
    if {SCHEMA, RECORDS} <= denials.keys():
        return f"The token has no access to the base `{base_id}`, or lacks the {word} {scopes}."
    return (
        f"The token lacks the {word} {scopes}: add what is missing at airtable.com/create/tokens."
    )


def _misfit(used: Services, tables: BaseTables) -> str:
    try:
        clauses = missing_in_base(used.active_mapping.mapping, tables)
    except MappingError as error:
        return str(error)
    return f"It does not: {', '.join(clauses[:3])}." if clauses else ""
