"""Who is let in, and what those who are not are told."""

import pytest

from sandbox.airtable.sample import LINKED_BASE_ID
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE, Asker

PATH = f"/v0/{PEOPLE}/People"
NO_SUCH_MODEL = {
    "error": {
        "type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "message": "Invalid permissions, or the requested model was not found. Check that both "
        "your user and your token have the required permissions, and that the model names and/or "
        "ids are correct.",
    }
}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic c2FuZGJveA=="])
def test_without_a_token_authentication_is_required(header: str | None, ask: Asker) -> None:
    answer = ask.get(PATH, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"] == {
        "type": "AUTHENTICATION_REQUIRED",
        "message": "Authentication required",
    }


@pytest.mark.parametrize("path", [PATH, "/v0/meta/whoami", "/v0/appNowhere0000000/x"])
def test_a_wrong_token_is_refused_everywhere(path: str, ask: Asker) -> None:
    answer = ask.get(path, headers={"Authorization": "Bearer sandbox-tokem"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "path",
    ["/v0/appNowhere0000000/People", f"/v0/{PEOPLE}/people", "/v0/meta/bases/appNowhere0/tables"],
)
def test_an_unknown_base_or_table_is_not_permitted(path: str, ask: Asker) -> None:
    answer = ask.get(path)
    assert (answer.status_code, answer.json()) == (403, NO_SUCH_MODEL)


def test_a_token_for_one_base_does_not_see_the_other(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.add_token("one-base", bases=[PEOPLE])
    headers = {"Authorization": "Bearer one-base"}
    assert ask.get(PATH, headers=headers).ok
    other = ask.get(f"/v0/{LINKED_BASE_ID}/client", headers=headers)
    assert (other.status_code, other.json()) == (403, NO_SUCH_MODEL)
    bases = ask.get("/v0/meta/bases", headers={"Authorization": "Bearer one-base"}).json()
    assert [base["id"] for base in bases["bases"]] == [PEOPLE]


def test_a_token_needs_the_scope(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.add_token("reader", scopes=["data.records:read"])
    headers = {"Authorization": "Bearer reader"}
    assert ask.get(PATH, headers=headers).ok
    assert ask.post(f"{PATH}/listRecords", json={}, headers=headers).ok
    assert ask.post(PATH, json={"fields": {}}, headers=headers).status_code == 403
    assert ask.get(f"/v0/meta/bases/{PEOPLE}/tables", headers=headers).status_code == 403
    assert ask.get("/v0/meta/whoami", headers=headers).ok


@pytest.mark.parametrize(
    "path", ["/", "/v0", "/v1/x/y", f"{PATH}/a/b/c", "/v0/meta/nothing/at/all"]
)
def test_an_unknown_path_is_not_found(path: str, ask: Asker) -> None:
    answer = ask.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "NOT_FOUND"})


def test_a_url_of_16000_characters_is_too_long(ask: Asker, sandbox: Sandbox) -> None:
    url = f"{PATH}?filterByFormula="
    fits = 16_000 - len(sandbox.url + url) - 1
    assert ask.get(url + "1" * fits).status_code == 200
    assert ask.get(url + "1" * (fits + 1)).status_code == 414


def test_a_body_over_the_limit_is_refused(ask: Asker) -> None:
    assert ask.post(PATH, data=b" " * 5_000_000).status_code == 413
