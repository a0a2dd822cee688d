"""A button that is pressed after the session has ended: the login leads back to the page, which
says that nothing was done. The form's content is lost."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

EXPIRED = "Your session had ended, so nothing was changed. Please try again."
NO_PAGE = "That address is of a button, not of a page. Nothing was changed."


def leads_back(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For every page: also one of a button, which has only a POST."""

    @wraps(view)
    def wrapped(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        if request.method == "POST" and not request.user.is_authenticated:
            target = urlencode({"back": _page_before(request)})
            return redirect_to_login(
                f"{reverse('cache:not_done')}?{target}", reverse("admin:login")
            )
        response = view(request, *arguments, **named)
        if request.method == "GET" and response.status_code == 405:
            messages.warning(request, NO_PAGE)
            return redirect("cache:status")
        return response

    return wrapped


def not_done(request: HttpRequest) -> HttpResponse:
    """Where the login leads to."""
    messages.warning(request, EXPIRED)
    back = request.GET.get("back", "")
    is_own = back.startswith(reverse("admin:index")) and url_has_allowed_host_and_scheme(back, None)
    return redirect(back if is_own else "cache:status")


def _page_before(request: HttpRequest) -> str:
    """The page with the button, from the browser."""
    before = urlsplit(request.headers.get("Referer", ""))
    return f"{before.path}?{before.query}" if before.query else before.path
