"""What a browser gets when a page can't be made. No traceback, and no template that would need the
database."""

import logging
import sys
from html import escape

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import DataError, Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10
DATABASE_BUSY = "The database is busy or can't be reached. Nothing was changed. Try again soon."
OUT_OF_RANGE = "A number or date in the address or in the form is malformed or out of range."
NO_PAGE = "There is no page at this address."
OLD_FORM = (
    "The form was too old, or came from another site, so nothing was changed. Go back, reload the "
    "page and try again."
)
NOT_ALLOWED = "Your account may not see or do this."
ADMINISTRATORS_SHOWN = 3
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


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403. The exception may say which permission is missing."""
    reason = str(exception) or NOT_ALLOWED
    return _framed_page(request, "Not allowed", [reason, _who_grants(request)], 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    del exception
    if not request.path.startswith("/admin/"):
        return HttpResponse(_page(NO_PAGE), status=404)
    return _framed_page(request, "Not found", [NO_PAGE], 404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """For settings.CSRF_FAILURE_VIEW. A login in another tab makes a form too old."""
    logger.info("A form was refused: %s", reason)
    return _framed_page(request, "Nothing was changed", [OLD_FORM], 403)


def _who_grants(request: HttpRequest) -> str:
    """Names administrators only to those who have logged in."""
    if not request.user.is_authenticated:
        return "Log in first."
    found = User.objects.filter(is_superuser=True, is_active=True).order_by("pk")
    names = ", ".join(found.values_list("username", flat=True)[:ADMINISTRATORS_SHOWN])
    who = f"An administrator ({names})" if names else "An administrator"
    return f"{who} can add you to a group, such as Viewer or Operator, under Users."


def _framed_page(
    request: HttpRequest, title: str, sentences: list[str], status: int
) -> HttpResponse:
    """A page in the admin's frame."""
    context = {**admin.site.each_context(request), "title": title, "sentences": sentences}
    return render(request, "siftly/message.html", context, status=status)


def busy_page(sentence: str) -> HttpResponse:
    """A browser or proxy may try again after RETRY_SECONDS."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return HttpResponse(_page(sentence), status=503, headers=headers)


def _page(sentence: str) -> str:
    title = "<title>Siftly</title>"
    return f'<!doctype html><html lang="en">{title}<p>{escape(sentence)}</p></html>'
