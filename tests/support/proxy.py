"""A network between two programs that a test can spoil."""

import contextlib
import queue
import socket
import threading
import time


class Proxy:
    """Passes bytes on: late by `delay` seconds, or, while `swallowing`, not at all, like a network
    that died without a word."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.swallowing = False
        self.delay = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        """What is on its way does not keep what follows from setting out."""
        under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._arrive, args=(under_way, one, other), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                under_way.put((time.monotonic() + self.delay, data))
        under_way.put((time.monotonic() + self.delay, b""))

    def _arrive(
        self,
        under_way: "queue.SimpleQueue[tuple[float, bytes]]",
        one: socket.socket,
        other: socket.socket,
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = under_way.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    break
                if not self.swallowing:
                    other.sendall(data)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self._listener.close()
