"""What a browser gets when a page can't be made. No traceback, and no template that would need the
database."""

import logging
import sys
from html import escape

from django.db import DataError, Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10
DATABASE_BUSY = "The database is busy or can't be reached. Nothing was changed. Try again soon."
OUT_OF_RANGE = "A number or date in the address or in the form is malformed or out of range."
UNEXPECTED = "The page can't be shown because of an unexpected error. The server's log has details."


class ErrorPages(MiddlewareMixin):
    """Answers errors that are no mistake in the code: a busy database, and a value that no database
    can compare. Each is a line in the log, without a traceback."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """None: Django logs the error, and `server_error` answers."""
        if isinstance(error, OperationalError | InterfaceError):
            reason = str(error).partition("\n")[0]  # the other lines may quote rows
            logger.warning("A page needed the database, which failed: %s", reason)
            return busy_page(DATABASE_BUSY)
        if _is_out_of_range(request, error):
            return HttpResponse(_page(OUT_OF_RANGE), status=400)
        return None


def _is_out_of_range(request: HttpRequest, error: Exception) -> bool:
    """Django's own admin passes most parameters to the database unchecked. Our pages check
    theirs."""
    match = request.resolver_match
    is_django_admin = match is not None and match.app_names == ["admin"]
    has_input = bool(request.GET) or request.method == "POST"
    errors = (OverflowError, DataError, ValueError)
    return is_django_admin and has_input and isinstance(error, errors)


def server_error(_: HttpRequest) -> HttpResponse:
    """Django's handler500. https://docs.djangoproject.com/en/5.2/ref/urls/#handler500"""
    if isinstance(sys.exc_info()[1], Error):
        return busy_page(DATABASE_BUSY)
    return HttpResponse(_page(UNEXPECTED), status=500)


def busy_page(sentence: str) -> HttpResponse:
    """A browser or proxy may try again after RETRY_SECONDS."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return HttpResponse(_page(sentence), status=503, headers=headers)


def _page(sentence: str) -> str:
    title = "<title>Siftly</title>"
    return f'<!doctype html><html lang="en">{title}<p>{escape(sentence)}</p></html>'
