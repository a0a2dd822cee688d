"""Tokens, their scopes, and the bases that they may use."""

import hmac
from dataclasses import dataclass, field

from sandbox.airtable.common.errors import (
    authentication_required,
    invalid_token,
    model_not_found,
    not_permitted,
)

READ = "data.records:read"
WRITE = "data.records:write"
SCHEMA = "schema.bases:read"
WEBHOOK = "webhook:manage"
ALL_SCOPES = frozenset({READ, WRITE, SCHEMA, WEBHOOK})
LEVELS = ("read", "comment", "edit", "create", "owner")
CREATOR = "create"
USER_ID = "usrSiftlySandbox0"


@dataclass(frozen=True)
class Token:
    """A personal access token. `bases` of None allows all bases."""

    secret: str = field(repr=False)
    scopes: frozenset[str] = ALL_SCOPES
    bases: frozenset[str] | None = None
    permission_level: str = CREATOR
    """The user's role in every base, one of LEVELS."""

    def allows_base(self, base_id: str) -> bool:
        return self.bases is None or base_id in self.bases

    def require(self, scope: str, base_id: str = "") -> None:
        """Raises AirtableError (403) when the token lacks the scope, the base or the role."""
        if scope not in self.scopes or (base_id and not self.allows_base(base_id)):
            raise model_not_found()
        if scope == WRITE:
            self.require_level("edit")

    def require_level(self, level: str) -> None:
        if LEVELS.index(self.permission_level) < LEVELS.index(level):
            raise not_permitted()


def authenticate(header: str, tokens: list[Token]) -> Token:
    """The token of an Authorization header. Raises AirtableError (401)."""
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise authentication_required()
    given = secret.strip().encode()
    for token in tokens:
        if hmac.compare_digest(given, token.secret.encode()):
            return token
    raise invalid_token()
