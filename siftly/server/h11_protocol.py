"""uvicorn's HTTP protocol on h11, with what it lacks. h11 refuses what is not HTTP: no byte of a
request is read in two ways. https://h11.readthedocs.io/"""

from typing import Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# The methods of uvicorn's protocol that StrictProtocol replaces.
OVERRIDDEN = ("shutdown", "timeout_keep_alive_handler", "send_400_response", "_should_upgrade")


class Owner(Protocol):
    def before_shutdown(self) -> None: ...


class StrictProtocol(H11Protocol):
    owner: Owner

    @property
    def is_between_requests(self) -> bool:
        """Every request has been answered, and no byte of another one has arrived."""
        conn = self.conn
        return (
            conn.their_state is h11.IDLE
            and conn.our_state is h11.IDLE
            and not conn.trailing_data[0]
        )

    @property
    def has_unread_bytes(self) -> bool:
        """Of a head that is arriving, or of requests that wait for the response to this one."""
        return bool(self.conn.trailing_data[0])

    @property
    def can_respond(self) -> bool:
        return self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def shutdown(self) -> None:
        self.owner.before_shutdown()
        super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Not needed: `Connection` limits the time between requests."""

    def send_400_response(self, msg: str) -> None:
        """The application must not respond as well, and cannot be interrupted once it has begun to
        respond: uvicorn would raise an error in both cases."""
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.can_respond:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _should_upgrade(self) -> bool:
        """A server may ignore an Upgrade. https://www.rfc-editor.org/rfc/rfc9110#section-7.8"""
        return False
