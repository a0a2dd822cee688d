"""Fish Audio's signature: X-Fish-Webhook-Signature."""

import hashlib
import hmac
import time
from collections.abc import Callable

import pytest

from tests.support.platforms import is_authentic

BODY = b'{"event": "call.inbound"}'
SECRET = "secret_1"


def header(body: bytes = BODY, secret: str = SECRET, sent_at: int | None = None) -> str:
    """By the documentation: `{t}.{raw body}`."""
    seconds = int(time.time()) if sent_at is None else sent_at
    digest = hmac.new(secret.encode(), b"%d.%b" % (seconds, body), hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def accepts(value: str) -> bool:
    return is_authentic("fishaudio", BODY, {"X-Fish-Webhook-Signature": value}, "other", SECRET)


def test_a_signature_with_one_of_the_secrets_is_accepted() -> None:
    assert accepts(header())
    assert accepts(header(secret="other"))


def test_unknown_elements_and_a_second_signature_are_no_harm() -> None:
    seconds, digest = header().split(",")
    assert accepts(f"{seconds}, v1={'0' * 64}, {digest}, v2=abc, x")


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_or_future_signature_is_refused(seconds: int) -> None:
    assert not accepts(header(sent_at=int(time.time()) + seconds))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda: "", id="nothing"),
        pytest.param(lambda: "t=1", id="only a time"),
        pytest.param(lambda: header().split(",")[1], id="only a digest"),
        pytest.param(lambda: header(secret="wrong"), id="another secret"),
        pytest.param(lambda: header(body=b"{}"), id="another body"),
        pytest.param(lambda: header().replace("v1", "v2"), id="another version"),
        pytest.param(lambda: f"{header()},t=5", id="two times"),
        pytest.param(lambda: "t=" + "9" * 5000, id="a long time"),
        pytest.param(lambda: "," * 5000, id="many elements"),
    ],
)
def test_everything_else_is_refused(value: Callable[[], str]) -> None:
    assert not accepts(value())
