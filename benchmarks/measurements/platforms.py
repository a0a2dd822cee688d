"""Hits of several platforms: most take the fast path, OpenAI's go through ASGI."""

import os
from contextlib import ExitStack
from types import SimpleNamespace

from benchmarks.environment import environment, refresh
from benchmarks.load import Load, load_generator, request_bytes
from benchmarks.measurements.hits import Results, hits_table, measure_round
from benchmarks.results import CONSOLE, Report
from benchmarks.retell_calls import NUMBER, call_bytes
from benchmarks.server_process import SIFTLY, serving
from sandbox.airtable.sample.bases import linked_base
from sandbox.openai import OpenAISandbox
from webhooks.platforms.base import Platform
from webhooks.platforms.generic import Generic
from webhooks.platforms.openai import OpenAI

CONNECTIONS = (1, 16)


def run(_report: Report, rounds: int, seconds: float) -> None:
    results: Results = {}
    with ExitStack() as stack:
        stack.enter_context(environment(linked_base(), requests_per_second=None))
        refresh()
        requests = _requests(stack.enter_context(OpenAISandbox()))
        client = stack.enter_context(load_generator())
        server = stack.enter_context(serving(SIFTLY))
        for _ in range(rounds):
            for connections in CONNECTIONS:
                for name, request in requests.items():
                    load = Load([request], connections, seconds)
                    found = measure_round(client, server, load)
                    results.setdefault((name, connections), []).append(found)
    title = f"A hit by platform, one process, medians of {rounds} rounds"
    CONSOLE.print(hits_table(title, results))


def _requests(openai: OpenAISandbox) -> dict[str, bytes]:
    """By platform. OpenAI's call always has the same `webhook-id`: only the first one is accepted,
    and the look-up is what is measured."""
    secrets = {**Generic.sandbox_variables(), **OpenAI.sandbox_variables()}
    address = {"OPENAI_API_URL": openai.url, "OPENAI_API_KEY": openai.api_key}
    os.environ.update({**secrets, **address})
    settings = SimpleNamespace(**{name: [each] for name, each in secrets.items()}, **address)
    platforms: list[Platform] = [Generic(settings), OpenAI(settings)]
    return {"retell": call_bytes(), **{each.name: _signed(each) for each in platforms}}


def _signed(platform: Platform) -> bytes:
    call = platform.outgoing_call(NUMBER, platform.secrets[0], "")
    return request_bytes(f"/webhooks/{platform.name}/", dict(call.headers), call.body)
