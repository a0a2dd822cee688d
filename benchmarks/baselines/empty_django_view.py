"""A Django view that does nothing, without middleware, on the same server as Siftly: the lower
limit of Django's time."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from benchmarks.baselines import empty_asgi


async def empty_view(_: HttpRequest) -> HttpResponse:
    return HttpResponse("{}", headers={"Content-Length": "2"})


urlpatterns = [re_path("", empty_view)]
settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, []
handler = get_asgi_application()


async def application(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        await empty_asgi.application(scope, receive, send)
    else:
        await handler(dict(scope), receive, send)
