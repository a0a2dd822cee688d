"""Names of variables."""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
_ACCENT = re.compile(r"(?<=[A-Za-z])[\u0300-\u036f]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(name: str) -> str:
    """`Customer Name` becomes `customer_name`, `Réunion (min)` becomes `reunion_min`. "" for a name
    without letters and digits."""
    plain = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", name)))
    words = _WORD.findall(_CAMEL.sub(" ", plain))
    return "_".join(words).lower()
