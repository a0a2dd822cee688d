"""Changing actions ask for a confirmation, on a page of their own: it works without JavaScript, and
after a login that came in between."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from airtable_sync.status.permissions import page_context

View = Callable[..., HttpResponseBase]
NOT_DONE = "Nothing was done: you had to log in again first. Press the button once more."


def confirmation(
    request: HttpRequest, question: str, effects: list[str], *, button: str, back: str, **more: Any
) -> HttpResponse:
    """`back` is the address of "No, go back". `more` may have `hidden` (form fields), `figures`
    (name, value) and `differences`."""
    own = {"paragraphs": effects, "button": button, "back": back}
    context = {**page_context(request, question), **own, **more}
    return render(request, "admin/cache/confirm.html", context)


def posted(back: str) -> Callable[[View], View]:
    """For an action without a confirmation. After a login the browser asks for its address with
    GET: the user returns to the page `back`, which says that nothing was done."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponseBase:
            if request.method == "POST":
                return view(request, *arguments, **named)
            messages.warning(request, NOT_DONE)
            return redirect(back)

        return checked

    return decorate
