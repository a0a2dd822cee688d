"""Tokens and scopes, unknown paths, and requests that are too long."""

import pytest

from sandbox.airtable.sample.bases import LINKED_BASE_ID
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import NO_SUCH_MODEL, PEOPLE, HttpClient

PATH = f"/v0/{PEOPLE}/People"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic c2FuZGJveA=="])
def test_without_a_token_authentication_is_required(header: str | None, http: HttpClient) -> None:
    response = http.get(PATH, headers={"Authorization": header})
    assert response.status_code == 401
    assert response.json()["error"] == {
        "type": "AUTHENTICATION_REQUIRED",
        "message": "Authentication required",
    }


@pytest.mark.parametrize("path", [PATH, "/v0/meta/whoami", "/v0/appNowhere0000000/x"])
def test_a_wrong_token_is_rejected_on_every_path(path: str, http: HttpClient) -> None:
    response = http.get(path, headers={"Authorization": "Bearer sandbox-tokem"})
    assert (response.status_code, response.json()["error"]["type"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "path",
    ["/v0/appNowhere0000000/People", f"/v0/{PEOPLE}/people", "/v0/meta/bases/appNowhere0/tables"],
)
def test_an_unknown_base_or_table_is_not_permitted(path: str, http: HttpClient) -> None:
    response = http.get(path)
    assert (response.status_code, response.json()) == (403, NO_SUCH_MODEL)


def test_a_token_for_one_base_does_not_see_the_other(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.add_token("one-base", bases=[PEOPLE])
    headers = {"Authorization": "Bearer one-base"}
    assert http.get(PATH, headers=headers).ok
    other = http.get(f"/v0/{LINKED_BASE_ID}/client", headers=headers)
    assert (other.status_code, other.json()) == (403, NO_SUCH_MODEL)
    bases = http.get("/v0/meta/bases", headers={"Authorization": "Bearer one-base"}).json()
    assert [base["id"] for base in bases["bases"]] == [PEOPLE]


def test_a_request_needs_the_scope(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.add_token("reader", scopes=["data.records:read"])
    headers = {"Authorization": "Bearer reader"}
    assert http.get(PATH, headers=headers).ok
    assert http.post(f"{PATH}/listRecords", json={}, headers=headers).ok
    assert http.post(PATH, json={"fields": {}}, headers=headers).status_code == 403
    assert http.get(f"/v0/meta/bases/{PEOPLE}/tables", headers=headers).status_code == 403
    assert http.get("/v0/meta/whoami", headers=headers).ok


@pytest.mark.parametrize(
    "path", ["/", "/v0", "/v1/x/y", f"{PATH}/a/b/c", "/v0/meta/nothing/at/all"]
)
def test_an_unknown_path_is_not_found(path: str, http: HttpClient) -> None:
    response = http.get(path)
    assert (response.status_code, response.json()) == (404, {"error": "NOT_FOUND"})


def test_a_url_of_16000_characters_is_too_long(http: HttpClient, sandbox: Sandbox) -> None:
    url = f"{PATH}?filterByFormula="
    fits = 16_000 - len(sandbox.url + url) - 1
    assert http.get(url + "1" * fits).status_code == 200
    assert http.get(url + "1" * (fits + 1)).status_code == 414


def test_a_body_over_the_limit_is_rejected(http: HttpClient) -> None:
    assert http.post(PATH, data=b" " * 5_000_000).status_code == 413
