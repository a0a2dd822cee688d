"""Who may do what. Whoever may see runs sees the page; each action has a permission of its own."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

View = Callable[..., HttpResponse]
ACTIONS = ("refresh", "roll_back", "reread", "drop", "pin", "see_secrets")
SEE = "airtable_sync.view_run"


def needs(*permissions: str) -> Callable[[View], View]:
    def decorated(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
            if not request.user.has_perms((SEE, *permissions)):
                raise PermissionDenied
            return view(request, *arguments, **named)

        return checked

    return decorated


def action(name: str) -> str:
    return f"airtable_sync.can_{name}"


def allowed(request: HttpRequest) -> dict[str, bool]:
    """What the user may do, by action, for templates."""
    return {name: request.user.has_perm(action(name)) for name in ACTIONS}


def log(request: HttpRequest, what: str, about: str, model: type[Model], key: Any = None) -> None:
    """In the admin's log: `what` was done to `about`."""
    LogEntry.objects.create(
        user_id=int(request.user.pk or 0),
        content_type=ContentType.objects.get_for_model(model),
        object_id=None if key is None else str(key),
        object_repr=about[:200],
        action_flag=CHANGE,
        change_message=what,
    )
