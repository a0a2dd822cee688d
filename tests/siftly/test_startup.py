"""What a start imports."""

import subprocess
import sys

import pytest

from tests.support.servers.server import ROOT, environment

IMPORTED = """
import asyncio, sys
from siftly import asgi
from siftly.web_services import web_services
assert "pyairtable" not in sys.modules, "the start has imported it"

async def main():
    lifecycle = (await asyncio.to_thread(web_services)).lifecycle
    async with lifecycle.running():
        await lifecycle._first_load_ended.wait()
        for _ in range(1000):
            if "pyairtable.formulas" in sys.modules:
                return
            await asyncio.sleep(0.02)
        sys.exit("a call would have to import it")

asyncio.run(main())
"""


@pytest.mark.slow
def test_pyairtable_is_imported_after_the_start_and_before_a_call_needs_it() -> None:
    unreachable = {"AIRTABLE_API_URL": "http://127.0.0.1:9", "AIRTABLE_BASE_ID": "appNowhere"}
    env = environment(AIRTABLE_API_KEY="pat.secret", **unreachable)
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
