"""The database was restored from a backup: the change feed's position in it is an older one."""

from typing import Any

import pytest
from django.forms.models import model_to_dict

from airtable_sync.models import ChangeFeed
from sandbox.airtable.server import Sandbox
from tests.support.change_feed import FollowedBase

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled", "valkey")]


@pytest.fixture
def followed(airtable: Sandbox) -> FollowedBase:
    return FollowedBase(airtable)


def rename(followed: FollowedBase, before: str, after: str) -> None:
    record = followed.record("dynamic_variables", "customer_name", before)
    followed.table("dynamic_variables").update(record, {"customer_name": after})


def name(followed: FollowedBase) -> str:
    return (followed.config() or {})["customer_name"]


def backup(followed: FollowedBase) -> dict[str, Any]:
    return model_to_dict(followed.feed(), exclude=["id"])


def restore(followed: FollowedBase, saved: dict[str, Any]) -> None:
    ChangeFeed.objects.filter(pk=followed.feed().pk).update(**saved)
    followed.check_subscription_next_time()


def test_changes_that_were_applied_after_the_backup_are_applied_again(
    followed: FollowedBase,
) -> None:
    saved = backup(followed)
    rename(followed, "John Doe", "Jane")
    followed.apply_changes()
    rename(followed, "Jane", "Joan")
    restore(followed, saved)
    followed.apply_changes()
    assert name(followed) == "Joan"
    assert followed.replica.has_all_of_airtable()
    assert followed.feed().cursor > saved["cursor"]


def test_a_subscription_that_was_replaced_after_the_backup_is_replaced_again(
    followed: FollowedBase,
) -> None:
    saved = backup(followed)
    followed.airtable.webhooks.expire(followed.webhook().id)
    followed.check_subscription_next_time()
    followed.apply_changes()
    rename(followed, "John Doe", "Jane")
    restore(followed, saved)
    followed.apply_changes()
    assert name(followed) == "Jane"
    assert followed.replica.has_all_of_airtable()
    assert followed.feed().webhook_id not in ("", saved["webhook_id"])
