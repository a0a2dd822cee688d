"""Masks the values of variables that are named like secrets, for users without can_see_secrets."""

import re
from collections.abc import Mapping, Sequence

MASK = "••••••"
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase|code)?$|(^|[_\W])(pass|pwd|pin|pins|otp|cvv|iban|ssn|token|secret|secrets"
    r"|credential|credentials|auth)([_\W]|$)|passw|secret|token|credential"
    r"|(api|access|private|secret|auth)[_\W]*key|pin[_\W]?(code|number)|security[_\W]?code",
    re.IGNORECASE,
)
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(_CAMEL_CASE.sub("_", name)))


def mask(variables: Mapping[str, str], *, may_see: bool) -> dict[str, str]:
    """Empty values are not masked."""
    return {
        name: MASK if value and not may_see and is_secret(name) else value
        for name, value in variables.items()
    }


def mask_pair(name: str, values: Sequence[str | None], *, may_see: bool) -> list[str | None]:
    """The values of a variable before and after a change."""
    return [MASK if value and not may_see and is_secret(name) else value for value in values]
