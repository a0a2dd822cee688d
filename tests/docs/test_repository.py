"""No credential stands in the repository: in no file that git knows or would take."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.server import ROOT

# What a secret of each kind looks like.
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
# Made up, and known to be: by the vendors' own documents, or by our tests.
MADE_UP = {
    "hunter2",
    "siftly",
    "only-here",
    "pa%2Fss",
    "key_test_0123456789abcdef",
    # https://github.com/standard-webhooks/standard-webhooks: the example of its libraries' tests
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def tracked() -> list[Path]:
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def found_in(text: str) -> list[str]:
    """What each secret is, never the secret."""
    found = []
    for kind, pattern in KINDS.items():
        for match in re.finditer(pattern, text):
            secret = match.groupdict().get("secret") or match[0]
            if secret not in MADE_UP:
                found.append(f"{kind} in line {text.count(chr(10), 0, match.start()) + 1}")
    return found


def test_no_file_holds_a_credential() -> None:
    files = tracked()
    assert len(files) > 100
    found = {
        str(file.relative_to(ROOT)): troubles
        for file in files
        if file.is_file()
        and file.suffix not in (".png", ".gz")
        and (troubles := found_in(file.read_text(encoding="utf-8", errors="replace")))
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
def test_one_would_be_found(parts: tuple[str, ...]) -> None:
    assert found_in(f"first line\n{''.join(parts)}\n") != []


def test_no_file_of_the_developers_own_is_tracked() -> None:
    names = {file.name for file in tracked()}
    assert not names & {".env", "db.sqlite3", "id_rsa", "id_ed25519"}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert ".env" in ignored
