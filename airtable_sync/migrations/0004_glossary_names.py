"""Renames tables, columns and a permission to the glossary's words."""

from django.db import migrations, models
from django.db.migrations.state import StateApps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def rename_triggers(apps: StateApps, _: BaseDatabaseSchemaEditor) -> None:
    Run = apps.get_model("airtable_sync", "Run")
    Run.objects.filter(trigger="feed").update(trigger="change-feed")


def rename_triggers_back(apps: StateApps, _: BaseDatabaseSchemaEditor) -> None:
    Run = apps.get_model("airtable_sync", "Run")
    Run.objects.filter(trigger="change-feed").update(trigger="feed")


def rename_permission(apps: StateApps, _: BaseDatabaseSchemaEditor) -> None:
    Permission = apps.get_model("auth", "Permission")
    ours = Permission.objects.filter(content_type__app_label="airtable_sync")
    ours.filter(codename="can_pin").update(
        codename="can_override", name="Can override a number's variables, and end an override"
    )


def rename_permission_back(apps: StateApps, _: BaseDatabaseSchemaEditor) -> None:
    Permission = apps.get_model("auth", "Permission")
    ours = Permission.objects.filter(content_type__app_label="airtable_sync")
    ours.filter(codename="can_override").update(
        codename="can_pin", name="Can pin a number's variables, and end a pin"
    )


def delete_snapshots(apps: StateApps, _: BaseDatabaseSchemaEditor) -> None:
    """Their content has the old names. The next refresh saves a new snapshot."""
    apps.get_model("airtable_sync", "Snapshot").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [
        ("airtable_sync", "0003_pins_and_permissions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RenameModel("LastGoodSet", "Snapshot"),
        migrations.RenameField("Snapshot", "asked_at", "read_at"),
        migrations.RenameModel("Pin", "Override"),
        migrations.RenameField("Override", "made_at", "created_at"),
        migrations.RenameField("Override", "made_by", "created_by"),
        migrations.RenameModel("Trouble", "Incident"),
        migrations.RenameField("Incident", "sentence", "message"),
        migrations.RenameField("Incident", "began_at", "started_at"),
        migrations.RenameField("Incident", "seen_at", "last_seen_at"),
        migrations.RenameField("Lease", "until", "expires_at"),
        migrations.RenameField("Run", "by", "trigger"),
        migrations.RenameField("Run", "sentence", "message"),
        migrations.RenameField("ChangeFeed", "hook", "webhook_id"),
        migrations.RenameField("ChangeFeed", "secret", "mac_secret"),
        migrations.RenameField("ChangeFeed", "url", "notification_url"),
        migrations.RenameField("ChangeFeed", "drained_at", "read_at"),
        migrations.RenameField("ChangeFeed", "whole_since", "full_read_needed_since"),
        migrations.RenameField("ChangeFeed", "refresh_again_at", "next_refresh_at"),
        migrations.RenameField("ChangeFeed", "not_understood", "unknown_payloads"),
        migrations.RenameField("ChangeFeed", "trouble", "last_error"),
        migrations.RenameField("ChangeFeed", "troubled_at", "last_error_at"),
        migrations.RunPython(delete_snapshots, migrations.RunPython.noop),
        migrations.RunPython(rename_triggers, rename_triggers_back),
        migrations.RunPython(rename_permission, rename_permission_back),
    ]
