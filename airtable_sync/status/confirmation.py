"""Changing actions ask for a confirmation, on a page of their own: it works without JavaScript, and
after a login that came in between."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from airtable_sync.status.permissions import page_context


def confirmation(
    request: HttpRequest, question: str, effects: list[str], *, button: str, back: str, **more: Any
) -> HttpResponse:
    """`back` is the address of "No, go back". `more` may have `hidden` (form fields), `figures`
    (name, value) and `differences`."""
    own = {"paragraphs": effects, "button": button, "back": back}
    context = {**page_context(request, question), **own, **more}
    return render(request, "admin/cache/confirm.html", context)
