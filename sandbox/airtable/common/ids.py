"""Ids in Airtable's form: three letters for the kind, then fourteen letters or digits."""

import hashlib
import random
import string

ALPHABET = string.ascii_letters + string.digits
LENGTH = 14


def new_id(kind: str) -> str:
    return kind + "".join(random.choices(ALPHABET, k=LENGTH))


def stable_id(kind: str, seed: str) -> str:
    """An id that depends only on kind and seed, so it is the same in every run."""
    digest = hashlib.sha256(f"{kind}:{seed}".encode()).digest()
    return kind + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:LENGTH])
