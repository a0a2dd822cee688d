"""What a browser gets when a page can't be made. No traceback, and no template that would need the
database."""

import sys
from html import escape

from django.db import Error
from django.http import HttpRequest, HttpResponse

RETRY_SECONDS = 10
DATABASE_BUSY = "The database is busy or can't be reached. Nothing was changed. Try again soon."
UNEXPECTED = "The page can't be shown because of an unexpected error. The server's log has details."


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
