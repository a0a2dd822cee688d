"""The page of one run: its result, what it changed or would change, conflicts, invalid records."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from airtable_sync.models import Run
from airtable_sync.services import services
from airtable_sync.status.differences import shown_differences
from airtable_sync.status.permissions import may_see_secrets, page_context, requires_permission
from airtable_sync.status.status_services import status_services


@require_GET
@requires_permission()
def run(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Run, pk=pk)
    links = status_services().number_reader.record_links()
    snapshots, details = services().snapshots, found.details
    total = found.added + found.changed + found.removed
    differences = details.get("differences", ())
    may_see = may_see_secrets(request)
    context = {
        **page_context(request, f"Run {found.pk}"),
        "run": found,
        "is_rejected": found.status == Run.Status.REFUSED,
        "has_set": has_set(found),
        "can_publish_anyway": may_publish_anyway(found),
        "snapshot": snapshots.all().filter(run=found).first(),
        "newest_snapshot": snapshots.newest(),
        "figures": [(each["name"], each["value"]) for each in details.get("rule", ())],
        **shown_differences(differences, total, links, may_see=may_see),
        "conflicts": [
            (each["number"], links.links(each["records"])) for each in details.get("conflicts", ())
        ],
        "invalid": [
            (links.link(each["record"]), each["reason"]) for each in details.get("invalid", ())
        ],
        "warnings": details.get("warnings", ()),
    }
    return render(request, "admin/cache/run.html", context)


def has_set(run: Run) -> bool:
    """Whether a rejected run had read everything, so that what it would change is known."""
    return run.status == Run.Status.REFUSED and bool(run.details.get("reviewed"))


def may_publish_anyway(run: Run) -> bool:
    """Whether it is the newest run, and what it would change can be reviewed."""
    ended = Run.objects.exclude(status=Run.Status.RUNNING).order_by("-started_at", "-id")
    newest = ended.values_list("pk", flat=True).first()
    return newest == run.pk and has_set(run)
