"""Runs, snapshots and overrides in the admin: read-only. The cache status page changes them."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from airtable_sync.models import Override, Run, Snapshot

admin.site.site_header = admin.site.site_title = "Siftly"
admin.site.index_template = "admin/cache/index.html"


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at",
        "status",
        "trigger",
        "user",
        "numbers",
        "added",
        "changed",
        "removed",
    )
    list_filter = ("status", "trigger")
    date_hierarchy = "started_at"
    exclude = ("details",)
    readonly_fields = ("record",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        return super().get_queryset(request).defer("details")

    def record(self, run: Run) -> SafeString:
        url = reverse("cache:run", args=[run.pk])
        return format_html('<a href="{}">Differences, conflicts</a>', url)


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ("run", "numbers", "digest")
    exclude = ("content",)
    list_select_related = ("run",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        return super().get_queryset(request).defer("content")


@admin.register(Override)
class OverrideAdmin(ReadOnlyAdmin):
    """Without the variables, which may be secrets: the status page shows them masked."""

    list_display = ("number", "reason", "ends_at", "created_by", "created_at")
    exclude = ("variables", "settings")
