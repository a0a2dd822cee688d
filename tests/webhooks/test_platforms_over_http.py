"""A call of every platform on a real socket, as a proxy forwards it."""

from pathlib import Path
from urllib.parse import unquote

import pytest
import requests

from sandbox.openai import OpenAISandbox
from tests.support.cast import JOHN, NUMBER
from tests.support.databases import new_database
from tests.support.platforms import stand_ins
from tests.support.servers.server import serving
from tests.support.services import platforms

pytestmark = pytest.mark.slow

PUBLIC = "https://calls.example.com"
FORWARDED = {"Host": "calls.example.com", "X-Forwarded-Proto": "https"}


def test_a_chunked_call_without_the_final_slash_is_answered_without_a_redirect(
    tmp_path: Path,
) -> None:
    variables = stand_ins()
    defaults = {"DEFAULT_VARIABLES": '{"customer_name": "John Doe"}', **new_database(tmp_path)}
    with (
        OpenAISandbox() as openai,
        serving(
            tmp_path,
            {
                **variables,
                **defaults,
                "OPENAI_API_URL": openai.url,
                "OPENAI_API_KEY": openai.api_key,
            },
            processes=1,
        ) as server,
    ):
        for platform in platforms().values():
            path = f"/webhooks/{platform.name}"
            sent = platform.outgoing_call(
                NUMBER, variables[platform.signing_setting], PUBLIC + path
            )
            response = requests.post(
                server.url + path,
                data=iter([sent.body[:20], sent.body[20:]]),
                headers={**sent.headers, **FORWARDED},
                timeout=15,
                allow_redirects=False,
            )
            assert response.status_code == 200, platform.name
            assert JOHN["customer_name"] in unquote(response.text)
            assert response.headers["X-Siftly-Source"] == "default"
            assert "total;dur=" in response.headers["Server-Timing"]
        [accepted] = openai.decided
        assert "John Doe" in accepted.body["instructions"]
        log = server.log.read_text()
    assert "Traceback" not in log
    assert not [name for name, secret in variables.items() if "ID" not in name and secret in log]
