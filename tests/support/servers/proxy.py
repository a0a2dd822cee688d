"""A TCP proxy that makes a network slow or silent."""

import contextlib
import queue
import socket
import threading
import time


class Proxy:
    """Forwards bytes after `delay` seconds. While `swallowing` is true, it drops them and keeps the
    connections open, like a broken network."""

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
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for source, destination in ((client, server), (server, client)):
                arguments = (source, destination)
                threading.Thread(target=self._receive, args=arguments, daemon=True).start()

    def _receive(self, source: socket.socket, destination: socket.socket) -> None:
        """Receive without a delay: data that waits must not delay the data after it."""
        waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        arguments = (waiting, source, destination)
        threading.Thread(target=self._send, args=arguments, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                waiting.put((time.monotonic() + self.delay, data))
        waiting.put((time.monotonic() + self.delay, b""))

    def _send(
        self,
        waiting: "queue.SimpleQueue[tuple[float, bytes]]",
        source: socket.socket,
        destination: socket.socket,
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                send_at, data = waiting.get()
                time.sleep(max(0.0, send_at - time.monotonic()))
                if not data:
                    break
                if not self.swallowing:
                    destination.sendall(data)
        for each in (source, destination):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self._listener.close()
