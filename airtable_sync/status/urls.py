from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path

from airtable_sync.status import actions, pages

app_name = "cache"


def _page(route: str, view: Callable[..., Any], name: str) -> URLPattern:
    return path(route, admin.site.admin_view(view), name=name)


urlpatterns = [
    _page("", pages.status, "status"),
    _page("runs/<int:pk>/", pages.run, "run"),
    _page("runs/<int:pk>/roll-back/", actions.roll_back, "roll_back"),
    _page("refresh/", actions.refresh, "refresh"),
    _page("release/", actions.release, "release"),
    _page("number/", pages.number, "number"),
    _page("number/reread/", actions.reread, "reread"),
    _page("number/drop/", actions.drop, "drop"),
    _page("number/pin/", actions.pin, "pin"),
    _page("number/end-pin/", actions.end_override, "end_override"),
    _page("answers/", pages.answers, "answers"),
]
