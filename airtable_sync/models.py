"""What the database keeps: the history of runs, the last good sets, and the change feed's place."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone


class Run(models.Model):
    """A refresh or a rollback: when, by whom, and what it did."""

    class Status(models.TextChoices):
        RUNNING = "running"
        PUBLISHED = "published"
        UNCHANGED = "unchanged"
        REFUSED = "refused"
        FAILED = "failed"
        ROLLED_BACK = "rolled-back"

    class By(models.TextChoices):
        CRON = "cron"
        ADMIN = "admin"
        COMMAND = "command"
        FEED = "feed"

    started_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.RUNNING)
    by = models.CharField(max_length=20, choices=By)
    user = models.CharField(max_length=150, blank=True)
    sentence = models.TextField(blank=True, help_text="why it was refused or failed")
    numbers = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    airtable_requests = models.PositiveIntegerField(default=0)
    records = models.JSONField(default=dict, help_text="how many records each table had")
    details = models.JSONField(default=dict, help_text="differences, conflicts, invalid, warnings")
    released_at = models.DateTimeField(
        null=True, blank=True, help_text="until then, a rollback holds refreshes and changes"
    )

    class Meta:
        ordering = ["-started_at", "-id"]
        permissions = [
            ("can_refresh", "Can start a refresh"),
            ("can_roll_back", "Can roll back to an earlier set, and release it"),
            ("can_reread", "Can read a number from Airtable again"),
            ("can_drop", "Can drop a number from the cache"),
            ("can_see_secrets", "Can see variables that are named like secrets"),
        ]

    def __str__(self) -> str:
        return f"Run {self.pk} of {self.started_at:%Y-%m-%d %H:%M}"


class Snapshot(models.Model):
    """All entries that a run published, compressed. Moments are in milliseconds since the epoch."""

    run = models.OneToOneField(Run, on_delete=models.PROTECT)
    base = models.CharField(max_length=50)
    read_at = models.BigIntegerField(help_text="when its data was asked for at Airtable")
    confirmed_at = models.BigIntegerField(help_text="when a later run last found nothing changed")
    numbers = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    content = models.BinaryField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.numbers} numbers of run {self.run_id}"


class Override(models.Model):
    """A number's variables as an operator set them: they win over everything until they end."""

    number = models.CharField(max_length=20, unique=True, help_text="E.164")
    variables = models.JSONField(default=dict)
    settings = models.JSONField(default=dict, help_text="of the number, as they were cached")
    records = models.JSONField(default=list, help_text="the Airtable records behind the number")
    reason = models.CharField(max_length=300)
    ends_at = models.DateTimeField(db_index=True)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["ends_at", "number"]
        permissions = [("can_override", "Can pin a number's variables, and end a pin")]

    def __str__(self) -> str:
        return f"{self.number} until {self.ends_at:%Y-%m-%d %H:%M} UTC"


class Lease(models.Model):
    """What only one process may do at a time, where there is no Redis to say who."""

    name = models.CharField(max_length=50, primary_key=True)
    token = models.CharField(max_length=50)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} until {self.until:%H:%M:%S}"


class Incident(models.Model):
    """One that somebody was told of, until it is over."""

    kind = models.CharField(max_length=20, primary_key=True)
    sentence = models.TextField()
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="by whichever process, last")

    def __str__(self) -> str:
        return f"{self.kind} since {self.began_at:%Y-%m-%d %H:%M}"


class ChangeFeed(models.Model):
    """The hook that a base has for us, and how far its feed was read. Moments are in milliseconds
    since the epoch, by Redis' clock."""

    base = models.CharField(max_length=50, unique=True)
    hook = models.CharField(max_length=50, blank=True)
    secret = models.TextField(blank=True, help_text="what pings are signed with, base64")
    url = models.CharField(max_length=500, blank=True, help_text="where Airtable pings")
    cursor = models.PositiveBigIntegerField(default=1)
    expires_at = models.DateTimeField(null=True)
    feed_read_at = models.BigIntegerField(default=0, help_text="when it was last read to its end")
    full_read_needed_since = models.BigIntegerField(
        default=0, help_text="changes mean nothing until all was read, as of then"
    )
    next_refresh_at = models.FloatField(default=0.0, help_text="seconds since the epoch")
    unknown_payloads = models.PositiveIntegerField(default=0)
    stopped = models.BooleanField(default=False, help_text="an operator removed the hook")
    trouble = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.hook or 'no hook'} of {self.base}"

    @classmethod
    def of_this_base(cls) -> "ChangeFeed":
        """Raises DatabaseError."""
        base = settings.AIRTABLE_BASE_ID or ""
        return cls.objects.get_or_create(base=base)[0]

    def change(self, **values: Any) -> bool:
        """Keep this; unless the hook is another one by now, or an operator has removed it."""
        changed = ChangeFeed.objects.filter(pk=self.pk, hook=self.hook).update(**values)
        for name, value in values.items():
            setattr(self, name, value)
        return changed == 1

    def note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            self.change(trouble=trouble, last_error_at=timezone.now())
