"""The editor's buttons: preview, publish, discard. Each is a POST, and is in the admin's log."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from airtable_sync.drafts import draft_store
from airtable_sync.drafts.draft_store import Status
from airtable_sync.drafts.publishing import FILE_WINS, NotPublished, require_ready
from airtable_sync.mapping.text_mistakes import text_mistakes
from airtable_sync.mapping.versions import ChangedMeanwhile, require_unchanged
from airtable_sync.models import MappingDraft, MappingVersion
from airtable_sync.refresh.background_process import start_command
from airtable_sync.services import services
from airtable_sync.status.mapping.editing import editor
from airtable_sync.status.permissions import log_action, requires_permission

NO_DRAFT = "There is no preview any more: press “Preview” first."


@require_POST
@requires_permission("change_mapping")
def preview(request: HttpRequest) -> HttpResponse:
    """Save the text as the user's draft, and read the base with it in a process of its own."""
    text = request.POST.get("text", "").replace("\r\n", "\n")
    user = request.user.get_username()
    based_on = _number(request.POST.get("based_on", ""))
    before = draft_store.of_user(user)
    mistakes = text_mistakes(text)
    if problem := _problem(before):
        messages.error(request, problem)
    elif mistakes:
        messages.error(request, "The text has mistakes: correct them first.")
    if mistakes or problem:
        return editor(request, text, before, based_on=based_on, mistakes=mistakes)
    MappingDraft.objects.filter(user=user).delete()
    in_force = services().active_mapping.source
    note = request.POST.get("note", "").strip()
    draft = draft_store.create(text, user=user, note=note, in_force=in_force)
    draft_store.change(draft, based_on=based_on)
    _start(draft, "preview")
    log_action(request, "Started a preview.", "Mapping", MappingVersion)
    return redirect("cache:mapping_edit")


@require_POST
@requires_permission("change_mapping")
def publish(request: HttpRequest) -> HttpResponse:
    draft, is_forced = _own_draft(request), "force" in request.POST
    if draft is None or draft_store.is_working(draft):
        messages.error(request, "It is being published." if draft else NO_DRAFT)
        return redirect("cache:mapping_edit")
    try:
        require_ready(draft, force=is_forced)
        require_unchanged(MappingVersion.objects.first(), draft.based_on)
    except (NotPublished, ChangedMeanwhile) as error:
        messages.error(request, str(error))
        return redirect("cache:mapping_edit")
    draft_store.change(draft, status=Status.PUBLISHING, progress={}, message="")
    _start(draft, "publish", *(["--force"] if is_forced else []))
    how = " without validation" if is_forced else ""
    log_action(request, f"Published a new version{how}.", "Mapping", MappingVersion)
    return redirect("cache:mapping_edit")


@require_POST
@requires_permission("change_mapping")
def discard(request: HttpRequest) -> HttpResponse:
    draft = _own_draft(request)
    if draft and draft.status == Status.PUBLISHING and draft_store.is_working(draft):
        messages.error(request, "It is being published, and can't be discarded now.")
        return redirect("cache:mapping_edit")
    if draft:
        draft.delete()
        log_action(request, "Discarded a draft.", "Mapping", MappingVersion)
        messages.success(request, "The draft was discarded.")
    return redirect("cache:mapping")


@require_POST
@requires_permission("change_mapping")
def continue_with_own_text(request: HttpRequest) -> HttpResponse:
    """The user has seen the version that another person saved, and keeps their own text. The text
    is compared again, with that version."""
    draft, seen = _own_draft(request), _number(request.POST.get("seen", ""))
    if draft and not draft_store.is_working(draft):
        nothing_read = {"progress": {}, "result": {}, "content": b"", "read_at": 0, "message": ""}
        draft_store.change(draft, based_on=seen, status=Status.READING, **nothing_read)
        _start(draft, "preview")
        log_action(request, f"Went on after version {seen}.", "Mapping", MappingVersion)
    return redirect("cache:mapping_edit")


def _problem(draft: MappingDraft | None) -> str:
    """Why there can't be a preview now; "" if there can."""
    used = services()
    if used.mapping_versions.path:
        return FILE_WINS
    if draft and draft.status == Status.PUBLISHING and draft_store.is_working(draft):
        return "Your draft is being published: wait for its end."
    if not used.configuration.airtable_api_key or not used.configuration.airtable_base_id:
        return "AIRTABLE_API_KEY and AIRTABLE_BASE_ID have to be set first."
    return ""


def _own_draft(request: HttpRequest) -> MappingDraft | None:
    """The one that the page showed, not one of another tab."""
    pk = _number(request.POST.get("draft", ""))
    return MappingDraft.objects.filter(user=request.user.get_username(), pk=pk).first()


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 18 else 0


def _start(draft: MappingDraft, action: str, *arguments: str) -> None:
    try:
        start_command("mapping", action, str(draft.pk), *arguments, folder=settings.BASE_DIR)
    except OSError as error:
        message = f"Its process can't be started: {error.strerror}"
        draft_store.change(draft, status=Status.FAILED, message=message)
