"""How long counts and answers are kept in Redis."""

SECONDS_KEPT = 8 * 24 * 3600
