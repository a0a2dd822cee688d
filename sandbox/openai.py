"""A stand-in for the part of OpenAI's API that accepts and rejects calls
(https://developers.openai.com/api/reference/resources/realtime/subresources/calls), on a port of
this machine, in threads of this process.

A call may be decided once, as at OpenAI: "the first successful accept" counts. The Live API answers
`decision_already_made` to a second one (https://developers.openai.com/api/docs/guides/voice-sip);
its status is not documented. The Realtime API documents nothing for it; the stand-in answers as for
an unknown call."""

import json
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HOST = "127.0.0.1"
_PATH = re.compile(r"/v1/(realtime/calls|live/sessions)/([^/?]+)/(accept|reject)")
_SESSION_TYPES = {"realtime/calls": "realtime", "live/sessions": "live"}


@dataclass(frozen=True)
class Decision:
    """A request to accept or reject a call. `status` is what was answered."""

    path: str
    call_id: str
    action: str
    body: Any
    status: int


class OpenAISandbox:
    """Runs within a with statement. `statuses` are answered next, each once, instead of what the
    request deserves; 0 closes the connection without an answer. Each answer takes `delay` seconds.
    """

    def __init__(self, api_key: str = "sk-sandbox", delay: float = 0.0) -> None:
        self.api_key = api_key
        self.delay = delay
        self.statuses: list[int] = []
        self._decisions: list[Decision] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        sandbox = self

        class Handler(_Handler):
            def do_POST(self) -> None:
                self.respond(sandbox)

        self._server = _Server((HOST, 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="openai-sandbox", daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[Decision]:
        """All requests so far, oldest first; a copy."""
        with self._lock:
            return list(self._decisions)

    @property
    def decided(self) -> list[Decision]:
        """Those that decided a call."""
        return [each for each in self.requests if each.status == HTTPStatus.OK]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def decide(self, path: str, token: str, body: bytes) -> tuple[int, str]:
        """The status and the error's code of the answer; "" without an error."""
        with self._lock:
            status, code = self._answer(path, token, body)
            found = _PATH.fullmatch(path)
            call_id, action = (found[2], found[3]) if found else ("", "")
            self._decisions.append(Decision(path, call_id, action, _parsed(body), status))
        self._stopping.wait(self.delay)
        return status, code

    def _answer(self, path: str, token: str, body: bytes) -> tuple[int, str]:
        if self.statuses:
            return self.statuses.pop(0), "server_error"
        found = _PATH.fullmatch(path)
        if token != f"Bearer {self.api_key}":
            return HTTPStatus.UNAUTHORIZED, "invalid_api_key"
        if not found:
            return HTTPStatus.NOT_FOUND, "not_found"
        if any(
            each.call_id == found[2] and each.status == HTTPStatus.OK for each in self._decisions
        ):
            if found[1] == "live/sessions":
                return HTTPStatus.CONFLICT, "decision_already_made"
            return HTTPStatus.NOT_FOUND, "call_id_not_found"
        is_valid = _is_valid(_SESSION_TYPES[found[1]], found[3], _parsed(body))
        return (
            (HTTPStatus.OK, "") if is_valid else (HTTPStatus.BAD_REQUEST, "invalid_request_error")
        )


def _is_valid(session_type: str, action: str, body: Any) -> bool:
    if not isinstance(body, dict):
        return False
    if action == "reject":
        return isinstance(body.get("status_code", 603), int)
    session = body.get("session") if session_type == "live" else body
    return isinstance(session, dict) and session.get("type") == session_type


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    def respond(self, sandbox: OpenAISandbox) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, code = sandbox.decide(self.path, self.headers.get("Authorization", ""), body)
        self.close_connection = True
        if not status:
            return
        error = {"error": {"message": "An error.", "type": "invalid_request_error", "code": code}}
        content = json.dumps(error).encode() if code else b""
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass  # the client has gone

    def log_message(self, *_: Any) -> None: ...
