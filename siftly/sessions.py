"""Django's sessions in the database, for SESSION_ENGINE."""

import re

from django.contrib.sessions.backends import db

_KEY = re.compile(r"[0-9a-z]{32}")  # as Django makes them


class SessionStore(db.SessionStore):
    """Ignores a cookie that can't be a session's key. Anyone can send one with a NUL, which
    PostgreSQL refuses with an error."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key if _KEY.fullmatch(session_key or "") else None)
