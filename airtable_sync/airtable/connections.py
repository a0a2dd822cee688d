"""HTTP connections that are kept open between requests."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError

from airtable_sync.airtable.received_bytes import limited_response


class KeptConnectionClosed(requests.ConnectionError):
    """The other side closed a kept connection just when a request was sent. No byte of a response
    came: the request may be sent again on a new connection."""


class KeptConnections(HTTPAdapter):
    """For one thread, which sends one request at a time. Calls `on_sent` when a request has been
    sent, before the response. Until `response_until` (by `time.monotonic`), the response has to
    arrive."""

    _is_new = True
    response_until = math.inf
    on_sent: Callable[[], None] = staticmethod(lambda: None)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool_that_reports(self, HTTPConnectionPool),
            "https": _pool_that_reports(self, HTTPSConnectionPool),
        }

    def open(self, url: str, seconds: float) -> None:
        """Connect now, so that the request itself starts without a handshake. Raises
        requests.ConnectionError."""
        pool = self.get_connection_with_tls_context(_prepared(url), True)
        if not isinstance(pool, HTTPConnectionPool):
            return
        # `send` does the same: both must trust the same certificates. It has no types in the stubs.
        self.cert_verify(pool, url, verify=True, cert=None)  # type: ignore[no-untyped-call]
        connection = pool._get_conn()  # noqa: SLF001 - urllib3 has no public way to connect early
        try:
            self._is_new = bool(connection.is_closed)
            if connection.is_closed:
                connection.timeout = seconds
                connection.connect()
        except (HTTPError, OSError) as error:
            connection.close()
            raise _translate_connection_error(error) from error
        finally:
            pool._put_conn(connection)  # noqa: SLF001 - as above

    # The stubs name each argument; all of them are only passed on.
    def send(self, request: requests.PreparedRequest, **arguments: Any) -> requests.Response:  # type: ignore[override]
        try:
            return super().send(request, **arguments)
        except requests.ConnectionError as error:
            if not self._is_new and _closed_without_response(error):
                raise KeptConnectionClosed(error, request=request) from error
            raise


@lru_cache(maxsize=100)  # a refresh asks one address hundreds of times
def _prepared(url: str) -> requests.PreparedRequest:
    return requests.Request("GET", url).prepare()


def _pool_that_reports(adapter: KeptConnections, pool: Any) -> Any:
    class Connection(pool.ConnectionCls):  # type: ignore[misc]  # a class known only at run time
        response_class = limited_response(lambda: adapter.response_until)

        def getresponse(self) -> Any:
            adapter.on_sent()
            return super().getresponse()

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _translate_connection_error(error: Exception) -> requests.ConnectionError:
    # urllib3's NewConnectionError (refused) is also a ConnectTimeoutError.
    is_refused = isinstance(error, NewConnectionError)
    if isinstance(error, TimeoutError | ConnectTimeoutError) and not is_refused:
        return requests.ConnectTimeout(error)
    return requests.ConnectionError(error)


def _closed_without_response(error: requests.ConnectionError) -> bool:
    reason = error.args[0] if error.args else None
    return (
        isinstance(reason, ProtocolError)
        and len(reason.args) == 2
        and isinstance(reason.args[1], ConnectionError)
    )
