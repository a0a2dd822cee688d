"""Ids as Airtable shapes them: three letters for the kind, fourteen letters or digits."""

import hashlib
import random
import string

ALPHABET = string.ascii_letters + string.digits
LENGTH = 14


def new_id(kind: str) -> str:
    return kind + "".join(random.choices(ALPHABET, k=LENGTH))


def stable_id(kind: str, seed: str) -> str:
    """The same id in every run, for sample data."""
    digest = hashlib.sha256(f"{kind}:{seed}".encode()).digest()
    return kind + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:LENGTH])
