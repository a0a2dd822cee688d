"""A real nginx in front of Siftly."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox.processes import stop
from tests.support.requirements import required
from tests.support.servers.ports import free_port
from tests.support.waiting import wait_until

START_SECONDS = 20.0
# Everything in a folder of the test, in one process, without root.
_MAIN = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{servers}
}}
"""
_SERVER = "  server {{ listen 127.0.0.1:{port}; {content} }}"


def require_nginx() -> str:
    """nginx' path. Without it the test is skipped; in CI it fails."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    missing = "no nginx is installed (apt-get install nginx-light)"
    return required(found, "The tests behind a proxy", missing, "SIFTLY_REQUIRE_NGINX")


@contextlib.contextmanager
def nginx(folder: Path, servers: Mapping[str, str]) -> Iterator[dict[str, int]]:
    """`servers` has the content of each `server` block, by a name. Yields their ports."""
    path, ports = require_nginx(), {name: free_port() for name in servers}
    lines = [_SERVER.format(port=ports[name], content=each) for name, each in servers.items()]
    config = folder / "nginx.conf"
    config.write_text(_MAIN.format(folder=folder, servers="\n".join(lines)))
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen([path, "-p", folder, "-c", config], stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or _all_accept(ports), START_SECONDS)
        assert process.poll() is None, log.read_text()
        yield ports
    finally:
        stop(process, 10)


def _all_accept(ports: Mapping[str, int]) -> bool:
    with contextlib.suppress(OSError):
        for port in ports.values():
            socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False
