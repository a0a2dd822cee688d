"""The database: run history, snapshots, saved mappings, overrides, incidents, and the state of the
change feed."""

from typing import Any

from django.db import models
from django.utils import timezone


class Run(models.Model):
    """A refresh or a rollback: when, who started it, and what it did."""

    class Status(models.TextChoices):
        RUNNING = "running"
        PUBLISHED = "published"
        UNCHANGED = "unchanged"
        REFUSED = "refused", "Rejected"
        FAILED = "failed"
        ROLLED_BACK = "rolled-back"

    class Trigger(models.TextChoices):
        CRON = "cron"
        ADMIN = "admin"
        COMMAND = "command"  # a person at a terminal
        SCRIPT = "script"  # without a terminal, and not known to be cron
        MAKE_RUN = "make-run"
        CHANGE_FEED = "change-feed"
        RECOVERY = "recovery"  # Redis was restored from a backup

    started_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.RUNNING)
    trigger = models.CharField(max_length=20, choices=Trigger)
    user = models.CharField(max_length=150, blank=True)
    message = models.TextField(blank=True, help_text="Why it was rejected or failed.")
    numbers = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    airtable_requests = models.PositiveIntegerField(default=0)
    records = models.JSONField(default=dict, help_text="The count of records in each table.")
    details = models.JSONField(default=dict, help_text="Differences, conflicts, invalid, warnings.")
    released_at = models.DateTimeField(
        null=True, blank=True, help_text="A rollback pauses publishing until this moment."
    )

    class Meta:
        ordering = ["-started_at", "-id"]
        default_permissions = ("view",)
        permissions = [
            ("can_refresh", "Can start a refresh"),
            ("can_roll_back", "Can roll back to an earlier snapshot, and release it"),
            ("can_reread", "Can read a number from Airtable again"),
            ("can_drop", "Can drop a number from the cache"),
            ("can_see_secrets", "Can see variables that are named like secrets"),
        ]

    def __str__(self) -> str:
        return f"Run {self.pk} of {self.started_at:%Y-%m-%d %H:%M}"

    @property
    def started_by(self) -> str:
        """Who or what started it, for pages and messages: "eva at a terminal"."""
        return _STARTED_BY.get(self.trigger, "{}").format(self.user or "an operator")


_STARTED_BY: dict[str, str] = {
    Run.Trigger.CRON: "the cron job",
    Run.Trigger.ADMIN: "{}",
    Run.Trigger.COMMAND: "{} at a terminal",
    Run.Trigger.SCRIPT: "a command without a terminal",
    Run.Trigger.MAKE_RUN: "make run",
    Run.Trigger.CHANGE_FEED: "the change feed",
    Run.Trigger.RECOVERY: "Siftly after a restore of Redis",
}


class Snapshot(models.Model):
    """All entries that a run published, compressed. Moments are milliseconds since 1970."""

    run = models.OneToOneField(Run, on_delete=models.PROTECT)
    base = models.CharField(max_length=50)
    read_at = models.BigIntegerField(help_text="When its data was requested from Airtable.")
    confirmed_at = models.BigIntegerField(
        help_text="When a complete reading last found nothing changed."
    )
    numbers = models.PositiveIntegerField()
    contacts = models.PositiveIntegerField(
        null=True,
        help_text="Each counts once for each client that it belongs to. Unknown of old snapshots.",
    )
    digest = models.CharField(max_length=64)
    content = models.BinaryField()
    generation = models.CharField(
        max_length=20, default="", db_default="", help_text="Of the mapping; empty for a file's."
    )

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.numbers} numbers of run {self.run_id}"


class MappingVersion(models.Model):
    """A mapping that was saved and published. The one with the highest number is in force."""

    number = models.PositiveIntegerField(unique=True)
    generation = models.CharField(max_length=20, unique=True, help_text="Names its cached set.")
    text = models.TextField(help_text="TOML")
    note = models.CharField(max_length=300, blank=True)
    saved_by = models.CharField(max_length=150, blank=True)
    saved_at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]
        default_permissions = ()
        permissions = [("can_change_mapping", "Can change the mapping")]

    def __str__(self) -> str:
        return f"Version {self.number} of {self.saved_at:%Y-%m-%d %H:%M} UTC"


class MappingDraft(models.Model):
    """A mapping that is being prepared: its text, and what it would publish."""

    class Status(models.TextChoices):
        READING = "reading"
        READY = "ready"
        FAILED = "failed"
        PUBLISHING = "publishing"

    generation = models.CharField(max_length=20, unique=True, help_text="Names its cached set.")
    based_on = models.PositiveIntegerField(
        default=0, help_text="The version that was in force when it was begun; 0 for none."
    )
    text = models.TextField(help_text="TOML")
    note = models.CharField(max_length=300, blank=True)
    user = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    active_at = models.DateTimeField(help_text="When its process was last seen.")
    status = models.CharField(max_length=20, choices=Status, default=Status.READING)
    message = models.TextField(blank=True, help_text="Why it failed.")
    rejection = models.TextField(blank=True, help_text="Why validation rejects its set.")
    progress = models.JSONField(default=dict, help_text="The records read of each table.")
    result = models.JSONField(default=dict, help_text="Counts, and examples of differences.")
    read_at = models.BigIntegerField(default=0, help_text="When its data was requested (ms).")
    content = models.BinaryField(default=b"", help_text="The set, as in a snapshot.")

    class Meta:
        ordering = ["-id"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"Draft {self.pk} of {self.user}"


class Override(models.Model):
    """Variables of a number that an operator set by hand until a moment."""

    number = models.CharField(max_length=20, unique=True, help_text="E.164")
    variables = models.JSONField(default=dict)
    settings = models.JSONField(default=dict, help_text="The number's settings when it was made.")
    records = models.JSONField(default=list, help_text="The Airtable records of the number.")
    reason = models.CharField(max_length=300)
    ends_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["ends_at", "number"]
        default_permissions = ("view",)
        permissions = [("can_override", "Can override a number's variables, and end an override")]

    def __str__(self) -> str:
        return f"{self.number} until {self.ends_at:%Y-%m-%d %H:%M} UTC"


class Dismissal(models.Model):
    """A part of the status page that an operator does not want to see any more."""

    part = models.CharField(max_length=50, primary_key=True)
    user = models.CharField(max_length=150)
    dismissed_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.part}, by {self.user}"


class Lease(models.Model):
    """A lock that expires by itself, where there is no Redis."""

    name = models.CharField(max_length=50, primary_key=True)
    token = models.CharField(max_length=50)
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} until {self.expires_at:%H:%M:%S}"


class Incident(models.Model):
    """A problem that an alert was sent for, until it has ended."""

    kind = models.CharField(max_length=20, primary_key=True)
    message = models.TextField()
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(help_text="By any process.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} since {self.started_at:%Y-%m-%d %H:%M}"


class ChangeFeed(models.Model):
    """The webhook subscription of a base, and how far its change feed was read. Moments are
    milliseconds by Redis' clock."""

    base = models.CharField(max_length=50, unique=True)
    webhook_id = models.CharField(max_length=50, blank=True)
    mac_secret = models.TextField(blank=True, help_text="Signs change notifications; base64.")
    notification_url = models.CharField(max_length=500, blank=True)
    cursor = models.PositiveBigIntegerField(default=1)
    expires_at = models.DateTimeField(null=True)
    read_at = models.BigIntegerField(default=0, help_text="When it was last read to its end.")
    full_read_needed_since = models.BigIntegerField(
        default=0, help_text="Changes can be applied after a full refresh as of this moment."
    )
    next_refresh_at = models.FloatField(default=0.0, help_text="Seconds since 1970.")
    unknown_payloads = models.PositiveIntegerField(default=0)
    stopped = models.BooleanField(default=False, help_text="An operator removed the subscription.")
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.webhook_id or 'no webhook subscription'} of {self.base}"

    @classmethod
    def for_base(cls, base_id: str) -> "ChangeFeed":
        """Raises DatabaseError."""
        return cls.objects.get_or_create(base=base_id)[0]

    def change(self, **values: Any) -> bool:
        """Save these fields. False if the subscription is another one by now, or was removed."""
        rows = ChangeFeed.objects.filter(pk=self.pk, webhook_id=self.webhook_id)
        changed = rows.update(**values)
        for name, value in values.items():
            setattr(self, name, value)
        return changed == 1

    def record_error(self, message: str) -> None:
        if message and message != self.last_error:
            self.change(last_error=message, last_error_at=timezone.now())
