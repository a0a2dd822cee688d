"""A worker does not serve if uvicorn has changed."""

import asyncio

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from siftly.server.protocol_check import UvicornChanged, check_protocol
from siftly.server.worker import Worker


def check() -> None:
    asyncio.run(check_protocol(Worker.CONFIG_KWARGS))


def test_the_installed_uvicorn_is_accepted() -> None:
    check()


def test_a_renamed_method_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(H11Protocol, "_should_upgrade")
    with pytest.raises(UvicornChanged, match="has no _should_upgrade"):
        check()


def test_another_way_to_handle_requests_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(H11Protocol, "data_received", lambda self, _: self.transport.close())
    with pytest.raises(UvicornChanged, match="another response"):
        check()
