"""Limits how many passwords are checked at a time. A check takes a core for a third of a second, on
purpose; forty at a time would leave calls too little of it (docs/understanding/decisions.md)."""

import threading
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from siftly.error_pages import busy_page

WAIT_SECONDS = 10.0
MAX_WAITING = 20
LIMITED = ("/login/", "/password_reset/")  # an e-mail takes seconds
_BUSY = "Too many people log in at this moment. Try again in some seconds."


class LoginLimit:
    """A middleware: one login at a time in each process. Others wait, a few and not for ever."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._one = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or not request.path.endswith(LIMITED):
            return self._get_response(request)
        if not self._places.acquire(blocking=False):
            return busy_page(_BUSY)
        try:
            return self._one_at_a_time(request)
        finally:
            self._places.release()

    def _one_at_a_time(self, request: HttpRequest) -> HttpResponse:
        if not self._one.acquire(timeout=WAIT_SECONDS):
            return busy_page(_BUSY)
        try:
            return self._get_response(request)
        finally:
            self._one.release()
