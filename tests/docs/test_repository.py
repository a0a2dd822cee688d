"""Tests that no file that git tracks or would add contains a credential."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.servers.server import ROOT

# A pattern for each kind of secret.
KINDS = {
    "an address with a password": r"\b(?:rediss?|postgres(?:ql)?|amqp|https?)://[^\s/:@'\"<>{}$]*:"
    r"(?P<secret>[^\s/@'\"<>{}$…]{4,})@",
    "a token of Airtable": r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b",
    "an old key of Airtable": r"\bkey[A-Za-z0-9]{14}\b(?=.*[0-9])",
    "a key of Retell or another": r"\b(?:key|sk|rk|xoxb|ghp|github_pat|glpat)[_-]"
    r"(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{20,}",
    "a secret of Standard Webhooks": r"\bwhsec_[A-Za-z0-9+/]{24,}={0,2}",
    "an access key of AWS": r"\bAKIA[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a Sentry DSN": r"https://[0-9a-f]{32}@[\w.]+/\d+",
    "a password in an assignment": r"(?i)\b(?:password|passwd|secret_key|auth_token)\s*[=:]\s*"
    r"['\"](?=[^'\"]*[0-9])(?=[^'\"]*[a-z])[A-Za-z0-9+/_=-]{16,}['\"]",
}
# Invented values, from the vendors' documentation or from our tests.
INVENTED = {
    "hunter2",
    "siftly",
    "only-here",
    "pa%2Fss",
    "key_test_0123456789abcdef",
    # the example in the tests of https://github.com/standard-webhooks/standard-webhooks
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def tracked() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def credentials_in(text: str) -> list[str]:
    """The kind and the line of each secret, never the secret itself."""
    found = []
    for kind, pattern in KINDS.items():
        for match in re.finditer(pattern, text):
            secret = match.groupdict().get("secret") or match[0]
            if secret not in INVENTED:
                found.append(f"{kind} in line {text.count(chr(10), 0, match.start()) + 1}")
    return found


@pytest.mark.slow
def test_no_file_contains_a_credential() -> None:
    files = tracked()
    assert len(files) > 100
    found = {
        str(file.relative_to(ROOT)): credentials
        for file in files
        if file.is_file()
        and file.suffix not in (".png", ".gz")
        and (credentials := credentials_in(file.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "parts",
    [
        ("rediss://default:", "AbCdEf123456", "@eu1-x.upstash.io:6379"),
        ("postgres://user:", "n0tapassword", "@host/name"),
        ("pat", "Ab12" * 3 + "Xy", ".", "0af9" * 16),
        ("key", "_", "4f1e" * 8),
        ("sk", "-", "Zx81" * 8),
        ("whsec", "_", "Qm9i" * 8),
        ("-----BEGIN RSA ", "PRIVATE KEY-----"),
        ("https://", "0af9" * 8, "@o1.ingest.sentry.io/42"),
        ("PASSWORD = ", '"', "abcd1234efgh5678", '"'),
    ],
    ids=lambda parts: parts[0],
)
def test_each_kind_of_credential_is_found(parts: tuple[str, ...]) -> None:
    assert credentials_in(f"first line\n{''.join(parts)}\n") != []


def test_no_private_file_of_a_developer_is_tracked() -> None:
    names = {file.name for file in tracked()}
    assert not names & {".env", "db.sqlite3", "id_rsa", "id_ed25519"}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert ".env" in ignored
