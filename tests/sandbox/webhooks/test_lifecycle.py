"""Webhooks are created, listed, extended and deleted; they expire."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import LINKED_BASE_ID
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import NO_SUCH_MODEL, PEOPLE, HttpClient
from tests.sandbox.webhook_support import specification
from tests.support.waiting import wait_until

PATH = f"/v0/bases/{PEOPLE}/webhooks"
DATA = {"specification": specification("tableData")}
DAY = 86_400


def create(http: HttpClient, **body: Any) -> str:
    response = http.post(PATH, json=DATA | body)
    assert response.ok, response.text
    return str(response.json()["id"])


def listed(http: HttpClient) -> list[dict[str, Any]]:
    webhooks: list[dict[str, Any]] = http.get(PATH).json()["webhooks"]
    return webhooks


def days_left(moment: str) -> float:
    left = datetime.fromisoformat(moment) - datetime.now(UTC)
    return left / timedelta(days=1)


def test_only_creation_returns_the_secret(http: HttpClient) -> None:
    response = http.post(PATH, json=DATA).json()
    assert response.keys() == {"id", "macSecretBase64", "expirationTime"}
    assert response["id"].startswith("ach")
    [shown] = listed(http)
    assert response["macSecretBase64"] not in str(shown)
    assert shown["expirationTime"][:16] == response["expirationTime"][:16]


def test_a_webhook_without_a_url_sends_no_notifications(http: HttpClient) -> None:
    create(http)
    [webhook] = listed(http)
    assert webhook["notificationUrl"] is None
    assert webhook["areNotificationsEnabled"] is False
    assert (webhook["isHookEnabled"], webhook["cursorForNextPayload"]) == (True, 1)
    assert webhook["lastNotificationResult"] is webhook["lastSuccessfulNotificationTime"] is None
    assert webhook["specification"] == DATA["specification"]


def test_notifications_need_a_url(http: HttpClient) -> None:
    path = f"{PATH}/{create(http)}/enableNotifications"
    assert http.post(path, json={"enable": True}).status_code == 422
    assert http.post(path, json={"enable": False}).status_code == 200


def test_notifications_are_disabled_and_enabled(http: HttpClient) -> None:
    path = f"{PATH}/{create(http, notificationUrl='http://127.0.0.1:1/')}/enableNotifications"
    assert listed(http)[0]["areNotificationsEnabled"] is True
    for enable in (False, True):
        response = http.post(path, json={"enable": enable})
        assert (response.status_code, response.text) == (200, "")
        assert listed(http)[0]["areNotificationsEnabled"] is enable
    assert http.post(path, json={}).status_code == 422


def test_a_deleted_webhook_is_not_found(http: HttpClient) -> None:
    webhook_id = create(http)
    response = http("DELETE", f"{PATH}/{webhook_id}")
    assert (response.status_code, response.text) == (200, "")
    assert listed(http) == []
    assert http.get(f"{PATH}/{webhook_id}/payloads").status_code == 404
    assert http("DELETE", f"{PATH}/{webhook_id}").status_code == 404


def test_a_base_has_at_most_ten_webhooks(http: HttpClient) -> None:
    first, *_ = [create(http) for _ in range(10)]
    refused = http.post(PATH, json=DATA)
    assert refused.status_code == 422
    assert refused.json()["error"]["type"] == "TOO_MANY_WEBHOOKS_IN_BASE"
    other = {"specification": specification("tableData")}
    assert http.post(f"/v0/bases/{LINKED_BASE_ID}/webhooks", json=other).ok
    http("DELETE", f"{PATH}/{first}")
    assert http.post(PATH, json=DATA).ok


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
def test_a_wrong_specification_is_rejected(body: dict[str, Any], http: HttpClient) -> None:
    assert http.post(PATH, json=body).status_code == 422
    assert listed(http) == []


@pytest.mark.parametrize(
    "filters",
    [
        {"recordChangeScope": "tblNowhere0000000"},
        {"recordChangeScope": "People"},
        {"watchDataInFieldIds": ["Name"]},
        {"watchSchemasOfFieldIds": ["fldNowhere0000000"]},
    ],
)
def test_tables_and_fields_of_the_filters_must_exist(
    filters: dict[str, Any], http: HttpClient
) -> None:
    response = http.post(PATH, json={"specification": specification(**filters)})
    assert (response.status_code, response.json()["error"]["type"]) == (422, "INVALID_FILTERS")


def test_a_view_as_scope_is_not_supported(http: HttpClient, sandbox: Sandbox) -> None:
    view = sandbox.base(PEOPLE).table("People").views[0].id
    response = http.post(PATH, json={"specification": specification(recordChangeScope=view)})
    assert (response.status_code, response.json()["error"]["type"]) == (
        501,
        "SANDBOX_NOT_IMPLEMENTED",
    )


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
    scopes: list[str], data_type: str, allowed: bool, http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.add_token("some", scopes=scopes)
    headers = {"Authorization": "Bearer some"}
    body = {"specification": specification(data_type)}
    response = http.post(PATH, json=body, headers=headers)
    assert response.ok is allowed
    if not allowed:
        assert (response.status_code, response.json()) == (403, NO_SUCH_MODEL)
    webhook_id = http.post(PATH, json=body).json()["id"]
    assert http.get(f"{PATH}/{webhook_id}/payloads", headers=headers).ok is allowed


def test_a_user_with_read_permission_cannot_change_webhooks(
    http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.add_token("reader", permission_level="read")
    headers = {"Authorization": "Bearer reader"}
    webhook = f"{PATH}/{create(http)}"
    assert http.get(PATH, headers=headers).ok
    assert http.get(f"{webhook}/payloads", headers=headers).ok
    for method, path in (
        ("POST", PATH),
        ("POST", f"{webhook}/refresh"),
        ("POST", f"{webhook}/enableNotifications"),
        ("DELETE", webhook),
        ("POST", f"/v0/{PEOPLE}/People"),
    ):
        refused = http(method, path, json=DATA, headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (
            403,
            "INVALID_PERMISSIONS",
        )


def test_a_token_for_another_base_cannot_list_webhooks(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.add_token("other", bases=[LINKED_BASE_ID])
    response = http.get(PATH, headers={"Authorization": "Bearer other"})
    assert (response.status_code, response.json()) == (403, NO_SUCH_MODEL)


def test_webhook_requests_count_in_the_limits(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.limits.requests_per_second = 2
    path = f"{PATH}/{create(http)}/payloads"
    assert [http.get(path).status_code for _ in range(2)] == [200, 429]
    assert http.get(f"/v0/{PEOPLE}/People").status_code == 429
    sandbox.limits.reset()
    sandbox.limits.requests_per_second = None
    sandbox.limits.monthly_quota = 1
    assert [http.get(path).status_code for _ in range(2)] == [200, 429]
    assert sandbox.limits.calls_this_month == 2


def test_faults_apply_to_webhook_routes(http: HttpClient, sandbox: Sandbox) -> None:
    webhook = f"{PATH}/{create(http)}"
    sandbox.faults.add(Fault(path="/payloads", status=503, retry_after=3))
    sandbox.faults.add(Fault(path="/webhooks", method="POST", reset=True))
    sandbox.faults.add(Fault(path="/payloads", json={"payloads": "none"}, skip=1))
    assert http.get(PATH).ok
    assert http.get(f"{webhook}/payloads").headers["Retry-After"] == "3"
    with pytest.raises(requests.ConnectionError):
        http.post(f"{webhook}/refresh")
    assert http.get(f"{webhook}/payloads").json() == {"payloads": "none"}
    assert http.get(f"{webhook}/payloads").json()["payloads"] == []


def test_a_fault_for_a_table_does_not_apply_to_webhook_routes(
    http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(table=PEOPLE, status=500))
    assert http.get(PATH).ok


def test_a_webhook_expires_after_a_week_and_is_readable_for_another(
    http: HttpClient, sandbox: Sandbox
) -> None:
    path = f"{PATH}/{create(http)}"
    people = sandbox.base(PEOPLE).table("People")
    people.create({"Name": "Dora"})
    sandbox.clock.advance(6 * DAY)
    [webhook] = listed(http)
    assert 0.9 < days_left(webhook["expirationTime"]) <= 1
    sandbox.clock.advance(DAY)
    people.create({"Name": "Emil"})
    assert listed(http)[0]["isHookEnabled"] is False
    assert http.post(f"{path}/refresh").status_code == 422
    assert http.get(f"{path}/payloads").json()["payloads"] == []
    sandbox.clock.advance(7 * DAY)
    assert listed(http) == []
    assert http.get(f"{path}/payloads").status_code == 404
    assert sandbox.base(PEOPLE).listeners == []


def test_payloads_of_an_expired_webhook_are_readable(http: HttpClient, sandbox: Sandbox) -> None:
    path = f"{PATH}/{create(http)}"
    sandbox.clock.advance(5 * DAY)
    people = sandbox.base(PEOPLE).table("People")
    people.create({"Name": "Dora"})
    sandbox.clock.advance(3 * DAY)
    people.create({"Name": "Emil"})
    assert len(http.get(f"{path}/payloads").json()["payloads"]) == 1
    assert listed(http)[0]["isHookEnabled"] is False


@pytest.mark.parametrize(("method", "call"), [("POST", "refresh"), ("GET", "payloads")])
def test_reading_payloads_and_refreshing_extend_the_lifetime(
    method: str, call: str, http: HttpClient, sandbox: Sandbox
) -> None:
    path = f"{PATH}/{create(http)}/{call}"
    for _ in range(3):
        sandbox.clock.advance(6 * DAY)
        assert http(method, path).ok
        assert 6.9 < days_left(listed(http)[0]["expirationTime"]) <= 7
    assert listed(http)[0]["isHookEnabled"] is True


def test_the_time_scale_shortens_the_lifetime(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.webhooks.configure(time_scale=7 * DAY / 0.2)
    create(http)
    wait_until(lambda: not listed(http))
