"""`manage.py mapping`: the mapping that is in force, saving another one, and its versions."""

import logging
import os
from argparse import ArgumentParser
from itertools import zip_longest
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from airtable_sync.drafts import draft_store
from airtable_sync.drafts.differences import changed_lines
from airtable_sync.drafts.publishing import FILE_WINS, DraftPublisher, NotPublished
from airtable_sync.mapping.load import parse_mapping, read_text
from airtable_sync.mapping.schema import MappingError
from airtable_sync.mapping.source import description
from airtable_sync.mapping.versions import ChangedMeanwhile
from airtable_sync.models import MappingDraft, MappingVersion, Run
from airtable_sync.refresh.background_process import start_refresh
from airtable_sync.services import Services, services

logger = logging.getLogger(__name__)

BEHIND_CALLS = 10  # the priority of what the admin's page starts


class Command(BaseCommand):
    help = (
        "Show the mapping that is in force, save another one as the admin's page does, or list its "
        "versions. Exit status: 0, or 1 with all mistakes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("show", help="print the mapping that is in force")
        save = actions.add_parser("save", help="read the base with FILE, and publish it")
        save.add_argument("file", metavar="FILE")
        save.add_argument("--note", default="", help="why, for the list of versions")
        save.add_argument("--force", action="store_true", help="also if validation rejects it")
        actions.add_parser("versions", help="list the saved versions, the newest first")
        for name in ("preview", "publish"):  # the admin's page starts these
            hidden = actions.add_parser(name)
            hidden.add_argument("draft", type=int)
            hidden.add_argument("--force", action="store_true")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except DatabaseError as error:
            raise CommandError(f"The database: {error}") from error
        except (MappingError, NotPublished, ChangedMeanwhile) as error:
            raise CommandError(str(error)) from error

    def _show(self, _: dict[str, Any]) -> None:
        source = services().active_mapping.source
        self.stdout.write(source.text(), ending="")
        self.stderr.write(f"# {description(source)}", style_func=str)

    def _versions(self, _: dict[str, Any]) -> None:
        if services().mapping_versions.path:
            self.stderr.write(FILE_WINS, style_func=str)
        versions = list(MappingVersion.objects.all())
        if not versions:
            self.stderr.write("No version was saved yet.", style_func=str)
        for version, before in zip_longest(versions, versions[1:]):
            added, removed = changed_lines(before.text if before else "", version.text)
            line = (
                f"{version.number}  {version.saved_at:%Y-%m-%d %H:%M} UTC  "
                f"{version.saved_by or 'a command'}  +{added} -{removed} lines  {version.note}"
            )
            self.stdout.write(line.rstrip())

    def _save(self, options: dict[str, Any]) -> None:
        used = services()
        if used.mapping_versions.path:
            raise CommandError(FILE_WINS)
        text = read_text(options["file"])
        parse_mapping(text, options["file"])
        in_force = used.active_mapping.source
        if in_force.generation and in_force.text() == text:
            self.stdout.write(f"{description(in_force)} already has this text.")
            return
        draft = draft_store.create(text, user="", note=options["note"], in_force=in_force)
        if not used.configuration.airtable_api_key:
            version = used.mapping_versions.put_in_force(draft)
            draft.delete()
            self.stdout.write(f"{version}. AIRTABLE_API_KEY is not set, so nothing was published.")
            return
        try:
            self._preview_and_publish(used, draft, force=options["force"])
        finally:
            MappingDraft.objects.filter(pk=draft.pk).delete()

    def _preview_and_publish(self, used: Services, draft: MappingDraft, *, force: bool) -> None:
        publisher = _publisher(used)
        publisher.preview(draft)
        if draft.rejection and not force:
            raise CommandError(
                f"Not saved. Validation rejects it: {draft.rejection} Use --force to save anyway."
            )
        result = draft.result
        version = publisher.publish(draft, force=force)
        _refresh(trigger=Run.Trigger.COMMAND)
        self.stdout.write(
            f"{version} is in force: {result['numbers']} numbers, {result['added']} added, "
            f"{result['changed']} changed, {result['removed']} removed. "
            "Processes change to it within seconds."
        )

    def _preview(self, options: dict[str, Any]) -> None:
        os.nice(BEHIND_CALLS)
        _publisher(services()).preview(_draft(options))

    def _publish(self, options: dict[str, Any]) -> None:
        os.nice(BEHIND_CALLS)
        draft = _draft(options)
        _publisher(services()).publish(draft, force=options["force"])
        _refresh(user=draft.user)


def _refresh(**options: str) -> None:
    """In the background: for what was edited since the preview."""
    try:
        start_refresh("--full", folder=settings.BASE_DIR, **options)
    except OSError as error:
        logger.warning("The refresh after it can't be started: %s", error)


def _publisher(used: Services) -> DraftPublisher:
    config = cast("Any", apps.get_app_config("airtable_sync"))
    return DraftPublisher(used, config.new_services)


def _draft(options: dict[str, Any]) -> MappingDraft:
    draft = MappingDraft.objects.filter(pk=options["draft"]).first()
    if draft is None:
        raise CommandError("There is no such draft.")
    return draft
