"""Runs, snapshots and overrides in the admin: lists that lead to the cache status pages, which
change them. Users and groups: with the permissions that mean something here."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import ManyToManyField, Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from airtable_sync.models import Override, Run, Snapshot
from airtable_sync.status.number import number_url

REASON_SHOWN = 80

admin.site.site_header = admin.site.site_title = "Siftly"
admin.site.index_template = "admin/cache/index.html"


class ListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """A read-only list. A row leads to its page of the cache status pages: `page_of`."""

    list_display_links = None

    class Media:
        css: ClassVar = {"all": ["airtable_sync/lists.css"]}

    def page_of(self, row: Any) -> str:
        raise NotImplementedError

    def link(self, row: Model, text: object) -> SafeString:
        return format_html('<a href="{}">{}</a>', self.page_of(row), text)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        del form_url, extra_context
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        return redirect(self.page_of(row))

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ListAdmin):
    list_display = (
        "started",
        "status",
        "started_by",
        "numbers",
        "added",
        "changed",
        "removed",
        "reason",
    )
    list_filter = ("status", "trigger")
    date_hierarchy = "started_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        return super().get_queryset(request).defer("details")

    def page_of(self, row: Run) -> str:
        return reverse("cache:run", args=[row.pk])

    @admin.display(ordering="started_at")
    def started(self, run: Run) -> SafeString:
        return self.link(run, f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC")

    def reason(self, run: Run) -> str:
        return Truncator(run.message).chars(REASON_SHOWN)


@admin.register(Snapshot)
class SnapshotAdmin(ListAdmin):
    list_display = ("of_run", "numbers", "digest")
    list_select_related = ("run",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        return super().get_queryset(request).defer("content", "run__details")

    def page_of(self, row: Snapshot) -> str:
        return reverse("cache:run", args=[row.run_id])

    @admin.display(description="run", ordering="run")
    def of_run(self, snapshot: Snapshot) -> SafeString:
        return self.link(snapshot, snapshot.run)


@admin.register(Override)
class OverrideAdmin(ListAdmin):
    """Without the variables, which may be secrets: the number's page shows them masked."""

    list_display = ("called_number", "reason", "ends_at", "created_by", "created_at")

    def page_of(self, row: Override) -> str:
        return number_url(row.number)

    @admin.display(description="number", ordering="number")
    def called_number(self, override: Override) -> SafeString:
        return self.link(override, override.number)


def offered_permissions() -> "QuerySet[Permission]":
    """Those of Siftly and of users, not those of internal tables."""
    own = Q(content_type__app_label="airtable_sync")
    of_users = Q(content_type__app_label="auth", content_type__model__in=("user", "group"))
    return Permission.objects.filter(own | of_users).select_related("content_type")


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class SiftlyUserAdmin(UserAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    def formfield_for_manytomany(
        self, db_field: "ManyToManyField[Any, Any]", request: HttpRequest, **options: Any
    ) -> Any:
        if db_field.name == "user_permissions":
            options["queryset"] = offered_permissions()
        return super().formfield_for_manytomany(db_field, request, **options)


@admin.register(Group)
class SiftlyGroupAdmin(GroupAdmin):
    def formfield_for_manytomany(
        self,
        db_field: "ManyToManyField[Any, Any]",
        request: HttpRequest | None = None,
        **options: Any,
    ) -> Any:
        if db_field.name == "permissions":
            options["queryset"] = offered_permissions()
        return super().formfield_for_manytomany(db_field, request, **options)
