"""Webhooks are created, listed, kept alive and deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from sandbox.airtable.faults import Fault
from sandbox.airtable.sample import LINKED_BASE_ID
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE, Asker
from tests.sandbox.feed import specification, wait_until
from tests.sandbox.test_access import NO_SUCH_MODEL

PATH = f"/v0/bases/{PEOPLE}/webhooks"
DATA = {"specification": specification("tableData")}
DAY = 86_400


def create(ask: Asker, **body: Any) -> str:
    answer = ask.post(PATH, json=DATA | body)
    assert answer.ok, answer.text
    return str(answer.json()["id"])


def listed(ask: Asker) -> list[dict[str, Any]]:
    hooks: list[dict[str, Any]] = ask.get(PATH).json()["webhooks"]
    return hooks


def days_left(moment: str) -> float:
    left = datetime.fromisoformat(moment) - datetime.now(UTC)
    return left / timedelta(days=1)


def test_a_new_hook_tells_its_secret_once(ask: Asker) -> None:
    answer = ask.post(PATH, json=DATA).json()
    assert answer.keys() == {"id", "macSecretBase64", "expirationTime"}
    assert answer["id"].startswith("ach")
    [shown] = listed(ask)
    assert answer["macSecretBase64"] not in str(shown)
    assert shown["expirationTime"][:16] == answer["expirationTime"][:16]


def test_a_hook_without_an_address_is_only_read(ask: Asker) -> None:
    create(ask)
    [hook] = listed(ask)
    assert hook["notificationUrl"] is None
    assert hook["areNotificationsEnabled"] is False
    assert (hook["isHookEnabled"], hook["cursorForNextPayload"]) == (True, 1)
    assert hook["lastNotificationResult"] is hook["lastSuccessfulNotificationTime"] is None
    assert hook["specification"] == DATA["specification"]


def test_notifications_need_an_address(ask: Asker) -> None:
    path = f"{PATH}/{create(ask)}/enableNotifications"
    assert ask.post(path, json={"enable": True}).status_code == 422
    assert ask.post(path, json={"enable": False}).status_code == 200


def test_notifications_are_switched_off_and_on(ask: Asker) -> None:
    path = f"{PATH}/{create(ask, notificationUrl='http://127.0.0.1:1/')}/enableNotifications"
    assert listed(ask)[0]["areNotificationsEnabled"] is True
    for enable in (False, True):
        answer = ask.post(path, json={"enable": enable})
        assert (answer.status_code, answer.text) == (200, "")
        assert listed(ask)[0]["areNotificationsEnabled"] is enable
    assert ask.post(path, json={}).status_code == 422


def test_a_deleted_hook_is_gone(ask: Asker) -> None:
    hook_id = create(ask)
    answer = ask("DELETE", f"{PATH}/{hook_id}")
    assert (answer.status_code, answer.text) == (200, "")
    assert listed(ask) == []
    assert ask.get(f"{PATH}/{hook_id}/payloads").status_code == 404
    assert ask("DELETE", f"{PATH}/{hook_id}").status_code == 404


def test_a_base_has_ten_hooks_at_most(ask: Asker) -> None:
    first, *_ = [create(ask) for _ in range(10)]
    refused = ask.post(PATH, json=DATA)
    assert refused.status_code == 422
    assert refused.json()["error"]["type"] == "TOO_MANY_WEBHOOKS_IN_BASE"
    other = {"specification": specification("tableData")}
    assert ask.post(f"/v0/bases/{LINKED_BASE_ID}/webhooks", json=other).ok
    ask("DELETE", f"{PATH}/{first}")
    assert ask.post(PATH, json=DATA).ok


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"specification": []},
        {"specification": {"options": {}}},
        {"specification": specification("tableRows")},
        {"specification": {"options": {"filters": {"dataTypes": []}}}},
        {"specification": specification("tableData", changeTypes=["edit"])},
        {"specification": specification("tableData", fromSources="client")},
        {"specification": specification("tableData", watchDataInFieldIds=[1])},
        {"specification": specification("tableData", includes={"includePreviousCellValues": 5})},
        {"specification": specification("tableData", recordChangeScope=7)},
        DATA | {"notificationUrl": "ftp://example.com"},
        DATA | {"notificationUrl": "http://[::1"},
        DATA | {"notificationUrl": 5},
    ],
)
def test_a_wrong_specification_is_refused(body: dict[str, Any], ask: Asker) -> None:
    assert ask.post(PATH, json=body).status_code == 422
    assert listed(ask) == []


@pytest.mark.parametrize(
    "filters",
    [
        {"recordChangeScope": "tblNowhere0000000"},
        {"recordChangeScope": "People"},
        {"watchDataInFieldIds": ["Name"]},
        {"watchSchemasOfFieldIds": ["fldNowhere0000000"]},
    ],
)
def test_what_the_base_lacks_cannot_be_watched(filters: dict[str, Any], ask: Asker) -> None:
    answer = ask.post(PATH, json={"specification": specification(**filters)})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "INVALID_FILTERS")


def test_a_view_as_scope_is_not_imitated(ask: Asker, sandbox: Sandbox) -> None:
    view = sandbox.base(PEOPLE).table("People").views[0].id
    answer = ask.post(PATH, json={"specification": specification(recordChangeScope=view)})
    assert (answer.status_code, answer.json()["error"]["type"]) == (501, "SANDBOX_NOT_IMPLEMENTED")


@pytest.mark.parametrize(
    ("scopes", "data_type", "allowed"),
    [
        (["webhook:manage", "data.records:read"], "tableData", True),
        (["webhook:manage", "data.records:read"], "tableFields", False),
        (["webhook:manage", "schema.bases:read"], "tableFields", True),
        (["webhook:manage", "schema.bases:read"], "tableMetadata", True),
        (["webhook:manage", "schema.bases:read"], "tableData", False),
        (["data.records:read", "schema.bases:read"], "tableData", False),
    ],
)
def test_each_kind_of_change_needs_its_scope(
    scopes: list[str], data_type: str, allowed: bool, ask: Asker, sandbox: Sandbox
) -> None:
    sandbox.add_token("some", scopes=scopes)
    headers = {"Authorization": "Bearer some"}
    body = {"specification": specification(data_type)}
    answer = ask.post(PATH, json=body, headers=headers)
    assert answer.ok is allowed
    if not allowed:
        assert (answer.status_code, answer.json()) == (403, NO_SUCH_MODEL)
    hook_id = ask.post(PATH, json=body).json()["id"]
    assert ask.get(f"{PATH}/{hook_id}/payloads", headers=headers).ok is allowed


def test_who_may_only_read_the_base_reads_hooks_and_creates_none(
    ask: Asker, sandbox: Sandbox
) -> None:
    sandbox.add_token("reader", permission_level="read")
    headers = {"Authorization": "Bearer reader"}
    hook = f"{PATH}/{create(ask)}"
    assert ask.get(PATH, headers=headers).ok
    assert ask.get(f"{hook}/payloads", headers=headers).ok
    for method, path in (
        ("POST", PATH),
        ("POST", f"{hook}/refresh"),
        ("POST", f"{hook}/enableNotifications"),
        ("DELETE", hook),
        ("POST", f"/v0/{PEOPLE}/People"),
    ):
        refused = ask(method, path, json=DATA, headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (
            403,
            "INVALID_PERMISSIONS",
        )


def test_a_token_of_another_base_sees_no_hook(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.add_token("other", bases=[LINKED_BASE_ID])
    answer = ask.get(PATH, headers={"Authorization": "Bearer other"})
    assert (answer.status_code, answer.json()) == (403, NO_SUCH_MODEL)


def test_webhook_calls_count_in_the_limits(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.limits.requests_per_second = 2
    path = f"{PATH}/{create(ask)}/payloads"
    assert [ask.get(path).status_code for _ in range(2)] == [200, 429]
    assert ask.get(f"/v0/{PEOPLE}/People").status_code == 429
    sandbox.limits.reset()
    sandbox.limits.requests_per_second = None
    sandbox.limits.monthly_quota = 1
    assert [ask.get(path).status_code for _ in range(2)] == [200, 429]
    assert sandbox.limits.calls_this_month == 2


def test_faults_hit_the_feed_as_any_route(ask: Asker, sandbox: Sandbox) -> None:
    hook = f"{PATH}/{create(ask)}"
    sandbox.faults.add(Fault(path="/payloads", status=503, retry_after=3))
    sandbox.faults.add(Fault(path="/webhooks", method="POST", reset=True))
    sandbox.faults.add(Fault(path="/payloads", json={"payloads": "none"}, skip=1))
    assert ask.get(PATH).ok
    assert ask.get(f"{hook}/payloads").headers["Retry-After"] == "3"
    with pytest.raises(requests.ConnectionError):
        ask.post(f"{hook}/refresh")
    assert ask.get(f"{hook}/payloads").json() == {"payloads": "none"}
    assert ask.get(f"{hook}/payloads").json()["payloads"] == []


def test_a_fault_for_a_table_passes_the_feed_by(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(table=PEOPLE, status=500))
    assert ask.get(PATH).ok


def test_a_hook_lives_a_week_and_can_be_read_for_another(ask: Asker, sandbox: Sandbox) -> None:
    path = f"{PATH}/{create(ask)}"
    people = sandbox.base(PEOPLE).table("People")
    people.create({"Name": "Dora"})
    sandbox.clock.advance(6 * DAY)
    [hook] = listed(ask)
    assert 0.9 < days_left(hook["expirationTime"]) <= 1
    sandbox.clock.advance(DAY)
    people.create({"Name": "Emil"})
    assert listed(ask)[0]["isHookEnabled"] is False
    assert ask.post(f"{path}/refresh").status_code == 422
    assert ask.get(f"{path}/payloads").json()["payloads"] == []
    sandbox.clock.advance(7 * DAY)
    assert listed(ask) == []
    assert ask.get(f"{path}/payloads").status_code == 404
    assert sandbox.base(PEOPLE).journal.listeners == []


def test_payloads_of_an_expired_hook_can_still_be_read(ask: Asker, sandbox: Sandbox) -> None:
    path = f"{PATH}/{create(ask)}"
    sandbox.clock.advance(5 * DAY)
    people = sandbox.base(PEOPLE).table("People")
    people.create({"Name": "Dora"})
    sandbox.clock.advance(3 * DAY)
    people.create({"Name": "Emil"})
    assert len(ask.get(f"{path}/payloads").json()["payloads"]) == 1
    assert listed(ask)[0]["isHookEnabled"] is False


@pytest.mark.parametrize(("method", "call"), [("POST", "refresh"), ("GET", "payloads")])
def test_reading_or_refreshing_gives_another_week(
    method: str, call: str, ask: Asker, sandbox: Sandbox
) -> None:
    path = f"{PATH}/{create(ask)}/{call}"
    for _ in range(3):
        sandbox.clock.advance(6 * DAY)
        assert ask(method, path).ok
        assert 6.9 < days_left(listed(ask)[0]["expirationTime"]) <= 7
    assert listed(ask)[0]["isHookEnabled"] is True


def test_a_week_may_be_a_moment(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.webhooks.configure(time_scale=7 * DAY / 0.2)
    create(ask)
    wait_until(lambda: not listed(ask))
