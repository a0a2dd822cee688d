"""Password reset by e-mail: Django's own pages, where EMAIL_URL is set. The admin's login page
links to the page that is named `admin_password_reset`."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import views
from django.urls import URLPattern, path

NAME = {"site_header": "Siftly", "site_title": "Siftly"}
START = "admin/password_reset/"


def password_reset_urls() -> list[URLPattern]:
    """Empty if no e-mail can be sent."""
    if not settings.EMAIL_URL:
        return []
    start = views.PasswordResetView.as_view(
        extra_context=NAME, extra_email_context=_service(settings.PUBLIC_URL)
    )
    sent = views.PasswordResetDoneView.as_view(extra_context=NAME)
    confirm = views.PasswordResetConfirmView.as_view(extra_context=NAME)
    done = views.PasswordResetCompleteView.as_view(extra_context=NAME)
    return [
        path(START, start, name="admin_password_reset"),
        path(f"{START}sent/", sent, name="password_reset_done"),
        path(f"{START}<uidb64>/<token>/", confirm, name="password_reset_confirm"),
        path(f"{START}done/", done, name="password_reset_complete"),
    ]


def _service(public_url: str | None) -> dict[str, Any]:
    """The address in the e-mail; without PUBLIC_URL, the request's."""
    parts = urlsplit(public_url or "")
    if not parts.netloc:
        return {"site_name": "Siftly"}
    return {"site_name": "Siftly", "domain": parts.netloc, "protocol": parts.scheme}
