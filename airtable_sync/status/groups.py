"""Two groups of users, which exist after `migrate`: Viewer sees the pages, Operator also uses the
buttons. A group that exists is never changed: an administrator may have changed it."""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission

from airtable_sync.status.permissions import ACTIONS

VIEWER, OPERATOR = "Viewer", "Operator"
VIEW = ("view_run", "view_snapshot", "view_override")
SECRETS = "see_secrets"  # an administrator grants it to single users
GROUPS = {
    VIEWER: VIEW,
    OPERATOR: (*VIEW, *(f"can_{each}" for each in ACTIONS if each != SECRETS)),
}
DEFAULT_PERMISSIONS = ("add", "change", "delete", "view")


def prepare_permissions(sender: AppConfig, using: str, **_: Any) -> None:
    """For Django's signal `post_migrate`, after the permissions were created."""
    _delete_outdated(sender, using)
    own = Permission.objects.using(using).filter(content_type__app_label=sender.label)
    for name, codenames in GROUPS.items():
        group, is_new = Group.objects.using(using).get_or_create(name=name)
        if is_new:
            group.permissions.set(own.filter(codename__in=codenames))


def _delete_outdated(app: AppConfig, using: str) -> None:
    """Django never deletes a permission that a model has no more."""
    for model in app.get_models():
        options = model._meta  # noqa: SLF001 - documented
        kept = set(options.default_permissions)
        outdated = [
            f"{each}_{options.model_name}" for each in DEFAULT_PERMISSIONS if each not in kept
        ]
        own = Permission.objects.using(using).filter(content_type__app_label=app.label)
        own.filter(codename__in=outdated).delete()
