"""The page of one run: its result, differences, conflicts and invalid records."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from airtable_sync.models import Run
from airtable_sync.services import services
from airtable_sync.status.display.masking import mask_pair
from airtable_sync.status.permissions import may_see_secrets, page_context, requires_permission
from airtable_sync.status.status_services import status_services

DIFFERENCES_SHOWN = 200


@require_GET
@requires_permission()
def run(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Run, pk=pk)
    links = status_services().number_reader.record_links()
    snapshots = services().snapshots
    details = found.details
    differences = details.get("differences", ())[:DIFFERENCES_SHOWN]
    context = {
        **page_context(request, f"Run {found.pk}"),
        "run": found,
        "snapshot": snapshots.all().filter(run=found).first(),
        "newest_snapshot": snapshots.newest(),
        "differences": _masked(differences, may_see=may_see_secrets(request)),
        "not_shown": max(0, found.added + found.changed + found.removed - DIFFERENCES_SHOWN),
        "conflicts": [
            (each["number"], links.links(each["records"])) for each in details.get("conflicts", ())
        ],
        "invalid": [
            (links.link(each["record"]), each["reason"]) for each in details.get("invalid", ())
        ],
        "warnings": details.get("warnings", ()),
    }
    return render(request, "admin/cache/run.html", context)


def _masked(differences: list[dict[str, Any]], *, may_see: bool) -> list[dict[str, Any]]:
    """`fields` has the values before and after, by name."""
    return [
        {
            **each,
            "fields": {
                name: mask_pair(name, values, may_see=may_see)
                for name, values in each["fields"].items()
            },
        }
        for each in differences
    ]
