"""Variables that are named like secrets are shown to those who may see them, and to nobody else."""

import re
from collections.abc import Mapping

MASK = "••••••"
_NAMED_LIKE_A_SECRET = re.compile(
    r"pass(word|wd|phrase|code)?$|(^|[_\W])(pass|pwd|pin|pins|otp|cvv|iban|ssn|token|secret|secrets"
    r"|credential|credentials|auth)([_\W]|$)|passw|secret|token|credential"
    r"|(api|access|private|secret|auth)[_\W]*key|pin[_\W]?(code|number)|security[_\W]?code",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_secret(name: str) -> bool:
    return bool(_NAMED_LIKE_A_SECRET.search(_CAMEL.sub("_", name)))


def masked(variables: Mapping[str, str], *, may_see: bool) -> dict[str, str]:
    """An empty value says nothing, and stays."""
    return {
        name: MASK if value and not may_see and is_secret(name) else value
        for name, value in variables.items()
    }
