"""Permissions: view_run shows the pages, and each action needs its own permission. Each action is
recorded in the admin's log."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase

View = Callable[..., HttpResponseBase]
ACTIONS = (
    "refresh",
    "roll_back",
    "reread",
    "drop",
    "override",
    "see_secrets",
    "change_mapping",
)
VIEW_PAGES = "airtable_sync.view_run"


def requires_permission(*actions: str) -> Callable[[View], View]:
    """Of ACTIONS, beside the permission to view the pages."""
    permissions = (VIEW_PAGES, *map(_permission, actions))

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponseBase:
            missing = [each for each in permissions if not request.user.has_perm(each)]
            if missing:
                raise PermissionDenied(_missing_text(missing))
            return view(request, *arguments, **named)

        return checked

    return decorate


def may_see_secrets(request: HttpRequest) -> bool:
    return request.user.has_perm(_permission("see_secrets"))


def page_context(request: HttpRequest, title: str) -> dict[str, Any]:
    """What the template of every page gets. `may` says which actions the user may use."""
    may = {action: request.user.has_perm(_permission(action)) for action in ACTIONS}
    return {**admin.site.each_context(request), "title": title, "may": may}


def log_action(
    request: HttpRequest, message: str, about: str, model: type[Model], key: Any = None
) -> None:
    LogEntry.objects.create(
        user_id=int(request.user.pk or 0),
        content_type=ContentType.objects.get_for_model(model),
        object_id=None if key is None else str(key),
        object_repr=about[:200],
        action_flag=CHANGE,
        change_message=message,
    )


def _missing_text(permissions: list[str]) -> str:
    """Names them as an administrator sees them."""
    codenames = [each.partition(".")[2] for each in permissions]
    own = Permission.objects.filter(content_type__app_label="airtable_sync")
    found = own.filter(codename__in=codenames).values_list("name", flat=True)
    missing = " and ".join(f"“{name}”" for name in found)
    word = "permission" if len(permissions) == 1 else "permissions"
    return f"Your account lacks the {word} {missing}."


def _permission(action: str) -> str:
    return f"airtable_sync.can_{action}"
