"""The addresses below /admin/cache/. All of them need a login of the admin."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path, register_converter
from django.urls.converters import IntConverter

from airtable_sync.status import (
    actions,
    answers,
    connection,
    help_pages,
    number,
    number_actions,
    overrides,
    overview,
    runs,
)
from airtable_sync.status.expired_session import leads_back, not_done
from airtable_sync.status.first_run import actions as first_run
from airtable_sync.status.mapping import draft_actions, editing, page, proposing

app_name = "cache"


class RunId(IntConverter):
    regex = "[0-9]{1,18}"  # a larger number fits into no database


register_converter(RunId, "run_id")


def _page(route: str, view: Callable[..., Any], name: str) -> URLPattern:
    return path(route, leads_back(admin.site.admin_view(view)), name=name)


urlpatterns = [
    _page("", overview.overview, "status"),
    _page("not-done/", not_done, "not_done"),
    _page("runs/<run_id:pk>/", runs.run, "run"),
    _page("runs/<run_id:pk>/roll-back/", actions.roll_back, "roll_back"),
    _page("runs/<run_id:pk>/publish-anyway/", actions.publish_anyway, "publish_anyway"),
    _page("connection/", connection.connection, "connection"),
    _page("refresh/", actions.refresh, "refresh"),
    _page("release/", actions.release, "release"),
    _page("number/", number.number, "number"),
    _page("number/reread/", number_actions.reread, "reread"),
    _page("number/drop/", number_actions.drop, "drop"),
    _page("number/override/", overrides.override, "override"),
    _page("number/end-override/", overrides.end_override, "end_override"),
    path("help/<path:name>/", admin.site.admin_view(help_pages.help_page), name="help"),
    _page("answers/", answers.answers, "answers"),
    _page("answers.csv", answers.answers_csv, "answers_csv"),
    _page("first-steps/", first_run.try_first_steps, "try_first_steps"),
    _page("dismiss-checklist/", first_run.dismiss_checklist, "dismiss_checklist"),
    _page("test-call/", first_run.test_call, "test_call"),
    _page("mapping/", page.mapping, "mapping"),
    _page("mapping/problems/", page.problems, "mapping_problems"),
    _page("mapping/versions/<run_id:number>/", page.version, "mapping_version"),
    _page("mapping/propose/", proposing.propose_mapping, "mapping_propose"),
    _page("mapping/edit/", editing.edit, "mapping_edit"),
    _page("mapping/check/", editing.check, "mapping_check"),
    _page("mapping/draft/", editing.draft, "mapping_draft"),
    _page("mapping/preview/", draft_actions.preview, "mapping_preview"),
    _page("mapping/publish/", draft_actions.publish, "mapping_publish"),
    _page("mapping/discard/", draft_actions.discard, "mapping_discard"),
    _page("mapping/continue/", draft_actions.continue_with_own_text, "mapping_continue"),
]
