"""HTTP connections that are kept between requests: opened in time, with word of when a request has
gone out, and of what their end means."""

from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError


class ClosedMeanwhile(requests.ConnectionError):
    """The connection had been kept, and the other side closed it just as a request went out: no
    byte of an answer came. On a new connection the request may be made again."""


class KeptConnections(HTTPAdapter):
    """For one thread, which makes one request at a time. `on_sent` is called when one has gone out,
    before its answer is waited for."""

    _is_new = True
    on_sent: Callable[[], None] = staticmethod(lambda: None)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _telling(self, HTTPConnectionPool),
            "https": _telling(self, HTTPSConnectionPool),
        }

    def open(self, url: str, seconds: float) -> None:
        """Have a connection at hand, so that a request starts when it is sent, and not after a
        handshake. Raises requests.ConnectionError."""
        pool = self.get_connection_with_tls_context(requests.Request("GET", url).prepare(), True)
        if not isinstance(pool, HTTPConnectionPool):
            return
        # As `send` does, for the same trust.
        self.cert_verify(pool, url, verify=True, cert=None)  # type: ignore[no-untyped-call]
        connection = pool._get_conn()  # noqa: SLF001 - what urllib3 itself does for each request
        try:
            self._is_new = bool(connection.is_closed)
            if connection.is_closed:
                connection.timeout = seconds
                connection.connect()
        except (HTTPError, OSError) as error:
            connection.close()
            raise _translated(error) from error
        finally:
            pool._put_conn(connection)  # noqa: SLF001

    def send(self, request: requests.PreparedRequest, **arguments: Any) -> requests.Response:  # type: ignore[override]
        try:
            return super().send(request, **arguments)
        except requests.ConnectionError as error:
            if not self._is_new and _no_byte_came(error):
                raise ClosedMeanwhile(error, request=request) from error
            raise


def _telling(adapter: KeptConnections, pool: Any) -> Any:
    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        def getresponse(self) -> Any:
            adapter.on_sent()
            return super().getresponse()

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _translated(error: Exception) -> requests.ConnectionError:
    # Of urllib3's errors a refusal is a ConnectTimeoutError, too.
    is_refusal = isinstance(error, NewConnectionError)
    if isinstance(error, TimeoutError | ConnectTimeoutError) and not is_refusal:
        return requests.ConnectTimeout(error)
    return requests.ConnectionError(error)


def _no_byte_came(error: requests.ConnectionError) -> bool:
    reason = error.args[0] if error.args else None
    return (
        isinstance(reason, ProtocolError)
        and len(reason.args) == 2
        and isinstance(reason.args[1], ConnectionError)
    )
