"""Runs, good sets and pins in the admin, to be read: they are made and changed by what happens."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from airtable_sync.models import Override, Run, Snapshot

admin.site.site_header = admin.site.site_title = "Siftly"
admin.site.index_template = "admin/cache/index.html"


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ReadOnly):
    list_display = ("started_at", "status", "by", "user", "numbers", "added", "changed", "removed")
    list_filter = ("status", "by")
    date_hierarchy = "started_at"
    exclude = ("details",)
    readonly_fields = ("record",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).defer("details")

    def record(self, run: Run) -> SafeString:
        address = reverse("cache:run", args=[run.pk])
        return format_html('<a href="{}">Differences, conflicts</a>', address)


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly):
    list_display = ("run", "numbers", "digest")
    exclude = ("content",)
    list_select_related = ("run",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        return super().get_queryset(request).defer("content")


@admin.register(Override)
class OverrideAdmin(ReadOnly):
    """Without the variables, which may be secrets: the status page shows them, masked."""

    list_display = ("number", "reason", "ends_at", "made_by", "made_at")
    exclude = ("variables", "settings")
