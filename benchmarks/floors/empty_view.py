"""The floor of Django: a view that does nothing, without middleware, on the same server as
Siftly."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from benchmarks.floors import empty_asgi


async def nothing(_: HttpRequest) -> HttpResponse:
    return HttpResponse("{}", headers={"Content-Length": "2"})


urlpatterns = [re_path("", nothing)]
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
