"""An SMTP server on loopback that accepts every e-mail, and every password if it has logins."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.support.servers.threaded_server import served_in_a_thread

_RESPONSES = {b"QUIT": b"221 bye\r\n", b"AUTH": b"235 ok\r\n"}


@dataclass(frozen=True)
class Email:
    recipients: list[str]
    message: Message


@dataclass
class SmtpListener:
    port: int = 0
    emails: list[Email] = field(default_factory=list)

    def url(self, *recipients: str) -> str:
        """As an address for ALERT_URLS."""
        return f"mailto://127.0.0.1:{self.port}?from=siftly@example.com&to={','.join(recipients)}"


@contextmanager
def smtp_listening(*, has_logins: bool = False) -> Iterator[SmtpListener]:
    listener = SmtpListener()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 ready\r\n")
            recipients: list[str] = []
            for line in self.rfile:
                command = line[:4].upper()
                if command == b"MAIL":
                    recipients = []
                if command == b"RCPT":
                    recipients.append(line.decode().partition("<")[2].partition(">")[0])
                if command == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    listener.emails.append(Email(recipients, self.content()))
                if command == b"EHLO" and has_logins:
                    self.wfile.write(b"250-ready\r\n250-AUTH PLAIN\r\n")
                self.wfile.write(_RESPONSES.get(command, b"250 ok\r\n"))
                if command == b"QUIT":
                    return

        def content(self) -> Message:
            lines = iter(self.rfile.readline, b".\r\n")
            return message_from_bytes(b"".join(lines))

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    listener.port = server.server_address[1]
    with served_in_a_thread(server):
        yield listener
