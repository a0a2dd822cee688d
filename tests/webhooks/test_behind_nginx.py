"""Signatures behind a real nginx: the table of docs/proxies.md, and its snippets."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from siftly.web_services import web_services
from tests.support.cast import NUMBER
from tests.support.platforms import secret_of, set_up
from tests.support.raw_calls import cache_in_memory
from tests.support.servers.in_thread import served
from tests.support.servers.nginx import nginx, require_nginx
from tests.support.servers.server import ROOT
from tests.support.services import platforms
from webhooks.platforms.base import Platform

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nginx")]

GUIDE = (ROOT / "docs/proxies.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```nginx\n(.*?)```", GUIDE, re.S)
UPSTREAM = "127.0.0.1:8000"  # as the guide writes it
HOST, PREFIX = "siftly.example", "/siftly"
SLASH = "the final slash added or removed"
HTTPS = "proxy_set_header X-Forwarded-Proto https;"
KEEP_HOST = "proxy_set_header Host $http_host;"
PASS = f"proxy_pass http://{UPSTREAM}"


@dataclass(frozen=True)
class Change:
    """What a proxy changes: the content of its `server` block, the public address that the platform
    knows up to `/webhooks/`, and the path that the platform requests."""

    server: str
    public: str = f"https://{HOST}"
    path: str = "/webhooks/{name}/"


CHANGES = {
    "another host": Change(f"location / {{ {PASS}; {HTTPS} }}"),
    "`http` behind the proxy": Change(f"location / {{ {PASS}; {KEEP_HOST} }}"),
    "the port left out": Change(
        f"location / {{ {PASS}; {HTTPS} proxy_set_header Host $host; }}", f"https://{HOST}:8443"
    ),
    "a path prefix removed": Change(
        f"location {PREFIX}/ {{ {PASS}/; {HTTPS} {KEEP_HOST} }}",
        f"https://{HOST}{PREFIX}",
        f"{PREFIX}/webhooks/{{name}}/",
    ),
    "the final slash added": Change(
        f"location / {{ rewrite ^(.*[^/])$ $1/ break; {PASS}; {HTTPS} {KEEP_HOST} }}",
        path="/webhooks/{name}",
    ),
    "the final slash removed": Change(
        f"location / {{ rewrite ^(.*)/$ $1 break; {PASS}; {HTTPS} {KEEP_HOST} }}"
    ),
    "header names in another case": Change(f"location / {{ {PASS}; {HTTPS} {KEEP_HOST} }}"),
}
OTHERS = {
    "guide": SNIPPETS[0],
    "prefix": SNIPPETS[1],
    "drops": f"location / {{ {PASS}; {HTTPS} {KEEP_HOST} }}",
    "keeps": f"{SNIPPETS[2]} location / {{ {PASS}; {HTTPS} {KEEP_HOST} }}",
}


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, int]]:
    """nginx' ports, by the name of the change. It is in front of this process."""
    servers = {name: each.server for name, each in CHANGES.items()} | OTHERS
    with ExitStack() as stack:
        address = "{}:{}".format(*stack.enter_context(served()))
        content = {name: each.replace(UPSTREAM, address) for name, each in servers.items()}
        yield stack.enter_context(nginx(tmp_path_factory.mktemp("nginx"), content))


@pytest.fixture(params=list(platforms()))
def platform(request: pytest.FixtureRequest, settings: Any) -> Platform:
    return ready(request.param, settings)


def ready(name: str, settings: Any, public_url: str | None = None) -> Platform:
    settings.GIVEN_PUBLIC_URL = public_url
    set_up(platforms()[name], settings)
    cache_in_memory()
    web_services()  # built here, and not in the server's thread
    return platforms()[name]


def status(port: int, path: str, body: bytes, headers: Mapping[str, str], host: str = HOST) -> int:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            f"http://127.0.0.1:{port}{path}",
            data=body,
            headers={**headers, "Host": host},
            timeout=15,
            allow_redirects=False,
        )
        return answer.status_code


def call(ports: Mapping[str, int], platform: Platform, settings: Any, name: str) -> int:
    """The status of a call that the platform signs for the public address."""
    change = CHANGES[name]
    path = change.path.format(name=platform.name)
    signed_for = change.public + path.removeprefix(PREFIX)
    sent = platform.outgoing_call(NUMBER, secret_of(platform, settings), signed_for)
    headers = dict(sent.headers)
    if "case" in name:
        headers = {header.swapcase(): text for header, text in headers.items()}
    host = urlsplit(change.public).netloc
    return status(ports[name], path, sent.body, headers, host)


def cells(name: str) -> dict[str, str]:
    """What the guide's table says of each change for this platform."""
    lines = [line for line in GUIDE.splitlines() if line.startswith("|") and "---" not in line]
    columns, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    of = {row[0].lower(): dict(zip(columns, row, strict=True)) for row in rows}
    row = of.get(name, of["every other platform"])
    return {change: row.get(change) or row[SLASH] for change in CHANGES}


def test_the_guides_table_is_true(
    ports: Mapping[str, int], platform: Platform, settings: Any
) -> None:
    for change, cell in cells(platform.name).items():
        expected = 200 if cell == "yes" else 401
        assert call(ports, platform, settings, change) == expected, change
        if cell == "`PUBLIC_URL`":
            ready(platform.name, settings, CHANGES[change].public)
            assert call(ports, platform, settings, change) == 200, change
            ready(platform.name, settings)


def test_with_the_guides_nginx_every_signature_passes(
    ports: Mapping[str, int], platform: Platform, settings: Any
) -> None:
    host, path = "siftly.example:8443", f"/webhooks/{platform.name}/"
    sent = platform.outgoing_call(NUMBER, secret_of(platform, settings), f"http://{host}{path}")
    assert status(ports["guide"], path, sent.body, sent.headers, host) == 200


def test_with_the_guides_path_prefix_twilios_signature_passes(
    ports: Mapping[str, int], settings: Any
) -> None:
    public, path = f"https://{HOST}{PREFIX}", "/webhooks/twilio/"
    twilio = ready("twilio", settings, public)
    sent = twilio.outgoing_call(NUMBER, secret_of(twilio, settings), public + path)
    assert status(ports["prefix"], PREFIX + path, sent.body, sent.headers) == 200


@pytest.mark.parametrize(("name", "expected"), [("drops", 401), ("keeps", 200)])
def test_nginx_drops_headers_with_underscores_unless_the_guides_line_is_there(
    ports: Mapping[str, int], settings: Any, name: str, expected: int
) -> None:
    synthflow = ready("synthflow", settings)
    sent = synthflow.outgoing_call(NUMBER, secret_of(synthflow, settings), "")
    signature = {"HTTP_SYNTHFLOW_SIGNATURE": sent.headers["Synthflow-Signature"]}
    found = status(ports[name], "/webhooks/synthflow/", sent.body, signature)
    assert found == expected


def test_without_nginx_they_are_skipped_with_a_message_and_fail_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.delenv("SIFTLY_REQUIRE_NGINX", raising=False)
    with pytest.raises(pytest.skip.Exception, match="The tests behind a proxy were skipped: no"):
        require_nginx()
    monkeypatch.setenv("SIFTLY_REQUIRE_NGINX", "1")
    with pytest.raises(pytest.fail.Exception, match="SIFTLY_REQUIRE_NGINX is set, and no nginx"):
        require_nginx()
