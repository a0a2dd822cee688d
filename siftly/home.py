"""The page at /: the status page for those who may see it, for others what this is."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from airtable_sync.status.permissions import VIEW_PAGES

WHAT = (
    "This is Siftly. It answers the webhooks of voice platforms: when a number is called, the "
    "agent is told about the customer."
)


def home(request: HttpRequest) -> HttpResponse:
    user, status_page = request.user, reverse("cache:status")
    if admin.site.has_permission(request) and user.has_perm(VIEW_PAGES):
        return redirect(status_page)
    login = f"{reverse('admin:login')}?next={status_page}"
    is_known = user.is_authenticated
    link = (reverse("admin:index"), "Admin") if is_known else (login, "Log in as an operator")
    context = {**admin.site.each_context(request), "title": "Siftly", "sentences": [WHAT]}
    return render(request, "siftly/message.html", {**context, "link": link})
