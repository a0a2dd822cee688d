"""The program of `console`: runs each piece of code that it receives, and sends back the output."""

import contextlib
import io
import json
import os
import socket
import sys
import traceback

import django


def main(port: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    django.setup()
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        connection.makefile("rw", encoding="utf-8") as stream,
    ):
        for line in stream:
            stream.write(f"{json.dumps(run(json.loads(line)))}\n")
            stream.flush()


def run(code: str) -> tuple[str, str]:
    """Returns the output of the code, and its error with the traceback."""
    output, error = io.StringIO(), ""
    with contextlib.redirect_stdout(output):
        try:
            exec(code, {})
        except Exception:  # noqa: BLE001 - the test shows it
            error = traceback.format_exc()
    return output.getvalue(), error


if __name__ == "__main__":
    main(int(sys.argv[1]))
