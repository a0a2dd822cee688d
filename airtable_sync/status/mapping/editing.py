"""The editor: the text, its mistakes as one types, and the preview of what it would publish."""

from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from airtable_sync.drafts import draft_store
from airtable_sync.drafts.differences import difference
from airtable_sync.mapping.reference import words
from airtable_sync.mapping.schema import MappingError
from airtable_sync.mapping.source import MappingSource
from airtable_sync.mapping.text_mistakes import TextMistake, text_mistakes
from airtable_sync.models import MappingDraft, MappingVersion
from airtable_sync.refresh.history import last_record_counts
from airtable_sync.services import services
from airtable_sync.status.display.masking import mask, mask_pair
from airtable_sync.status.permissions import may_see_secrets, page_context, requires_permission
from airtable_sync.status.status_services import status_services

MAX_CHARACTERS = 60_000  # a request of any address has at most 64 KiB
DIFFERENCES_SHOWN = 50


@require_http_methods(["GET", "POST"])
@requires_permission("change_mapping")
def edit(request: HttpRequest) -> HttpResponse:
    """With POST the editor gets the posted text, such as a proposal."""
    if services().mapping_versions.path:
        return redirect("cache:mapping")
    draft = draft_store.of_user(request.user.get_username())
    text = _text_to_edit(request, draft)
    return editor(request, text, draft, based_on=_based_on(draft))


@require_POST
@requires_permission("change_mapping")
def check(request: HttpRequest) -> HttpResponse:
    """The mistakes of the posted text, as JSON."""
    found = text_mistakes(request.POST.get("text", ""))
    mistakes = [{"line": each.line, "message": each.message} for each in found]
    return JsonResponse({"mistakes": mistakes})


@require_GET
@requires_permission("change_mapping")
def draft(request: HttpRequest) -> HttpResponse:
    """The preview alone, for the page to update itself while a process works on it."""
    found = draft_store.of_user(request.user.get_username())
    context = {**page_context(request, ""), **preview_context(request, found)}
    return render(request, "admin/mapping/preview.html", context)


def editor(
    request: HttpRequest,
    text: str,
    draft: MappingDraft | None,
    *,
    based_on: int,
    mistakes: list[TextMistake] | None = None,
) -> HttpResponse:
    user = request.user.get_username()
    context = {
        **page_context(request, "Edit the mapping"),
        "text": text,
        "note": draft.note if draft else "",
        "based_on": based_on,
        "mistakes": text_mistakes(text) if mistakes is None else mistakes,
        "words": words(),
        "max_characters": MAX_CHARACTERS,
        "others": draft_store.of_others(user),
        **preview_context(request, draft),
    }
    return render(request, "admin/mapping/edit.html", context)


def preview_context(request: HttpRequest, draft: MappingDraft | None) -> dict[str, Any]:
    newest = MappingVersion.objects.first()
    if draft is None:
        return {"draft": None, "newest": newest}
    is_changed = bool(newest and newest.number != draft.based_on)
    is_working = draft_store.is_working(draft)
    return {
        "draft": draft,
        "newest": newest,
        "is_working": is_working,
        "was_killed": draft.status in ("reading", "publishing") and not is_working,
        "is_ready": draft.status in ("ready", "publishing") and not is_working,
        "is_expired": draft_store.is_expired(draft),
        "is_changed": is_changed,
        "their_difference": difference(newest.text, draft.text) if newest and is_changed else [],
        "steps": _steps(draft),
        "differences": _differences(request, draft),
        "not_shown": _not_shown(draft),
        "examples": _examples(request, draft),
    }


def _text_to_edit(request: HttpRequest, draft: MappingDraft | None) -> str:
    if request.method == "POST":
        return request.POST.get("text", "").replace("\r\n", "\n")
    number = request.GET.get("version", "")
    if number.isdecimal() and len(number) < 10:
        version = MappingVersion.objects.filter(number=int(number)).first()
        if version:
            return version.text
    if draft:
        return draft.text
    return _text(services().active_mapping.source)


def _text(source: MappingSource) -> str:
    try:
        return source.text()
    except MappingError:
        return ""


def _based_on(draft: MappingDraft | None) -> int:
    if draft:
        return draft.based_on
    try:
        return draft_store.number_of(services().mapping_versions.saved_or_default())
    except DatabaseError:
        return 0


def _steps(draft: MappingDraft) -> list[dict[str, Any]]:
    expected = last_record_counts()
    return [
        {"name": name, "done": done, "expected": expected.get(name)}
        for name, done in draft.progress.items()
    ]


def _differences(request: HttpRequest, draft: MappingDraft) -> list[dict[str, Any]]:
    may_see = may_see_secrets(request)
    return [
        {
            **each,
            "fields": {
                name: mask_pair(name, pair, may_see=may_see)
                for name, pair in each["fields"].items()
            },
        }
        for each in draft.result.get("differences", ())[:DIFFERENCES_SHOWN]
    ]


def _not_shown(draft: MappingDraft) -> int:
    counts = (int(draft.result.get(kind, 0)) for kind in ("added", "changed", "removed"))
    return max(0, sum(counts) - DIFFERENCES_SHOWN)


def _examples(request: HttpRequest, draft: MappingDraft) -> list[dict[str, Any]]:
    links, may_see = status_services().number_reader.record_links(), may_see_secrets(request)
    return [
        {
            **each,
            "config": mask(each["config"], may_see=may_see),
            "records": links.links(each["records"]),
        }
        for each in draft_store.examples(draft)
    ]
