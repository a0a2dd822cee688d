"""HTTP connections that are kept between requests, and what the other side may do with them."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ProtocolError


class ClosedMeanwhile(requests.ConnectionError):
    """The connection had been kept, and the other side closed it just as a request went out: no
    byte of an answer came. On a new connection the request may be made again."""


class KeptConnections(HTTPAdapter):
    """Tells a kept connection that has ended from a server that can't be reached. urllib3 notices
    only what was closed before it begins to send."""

    def send(self, request: requests.PreparedRequest, **arguments: Any) -> requests.Response:  # type: ignore[override]
        is_kept = self._is_kept(request, **arguments)
        try:
            return super().send(request, **arguments)
        except requests.ConnectionError as error:
            if is_kept and _no_byte_came(error):
                raise ClosedMeanwhile(error, request=request) from error
            raise

    def _is_kept(self, request: requests.PreparedRequest, **arguments: Any) -> bool:
        pool = self.get_connection_with_tls_context(
            request, arguments["verify"], cert=arguments.get("cert")
        )
        if not isinstance(pool, HTTPConnectionPool) or not pool.pool or not pool.pool.queue:
            return False
        last = pool.pool.queue[-1]  # the one used last is used next, unless it is seen to be closed
        return last is not None and last.is_connected


def _no_byte_came(error: requests.ConnectionError) -> bool:
    reason = error.args[0] if error.args else None
    return (
        isinstance(reason, ProtocolError)
        and len(reason.args) == 2
        and isinstance(reason.args[1], ConnectionError)
    )
