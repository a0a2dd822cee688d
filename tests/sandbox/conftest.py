"""A sandbox for each test, with the sample base and a base of three people, and clients for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from pyairtable import Api
from pyairtable import Table as TableClient

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox

PEOPLE = "appPeople00000000"
NO_SUCH_MODEL = {
    "error": {
        "type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "message": "Invalid permissions, or the requested model was not found. Check that both "
        "your user and your token have the required permissions, and that the model names and/or "
        "ids are correct.",
    }
}


@dataclass
class HttpClient:
    """Plain requests, for what a client library hides."""

    sandbox: Sandbox
    session: requests.Session

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.sandbox.token}"} | options.pop("headers", {})
        return self.session.request(
            method, self.sandbox.url + path, headers=headers, timeout=10, **options
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self("POST", path, **options)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([linked_base(), people_base()], requests_per_second=None) as running:
        yield running


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[HttpClient]:
    with requests.Session() as session:
        session.trust_env = False
        yield HttpClient(sandbox, session)


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    client = Api(sandbox.token, endpoint_url=sandbox.url, timeout=(5, 10), retry_strategy=None)
    client.session.trust_env = False
    yield client
    client.session.close()


@pytest.fixture
def people(sandbox: Sandbox) -> Table:
    return sandbox.base(PEOPLE).table("People")


@pytest.fixture
def client(api: Api) -> TableClient:
    """pyairtable's client for the people table."""
    return api.table(PEOPLE, "People")


def people_base() -> Base:
    """Alice, Bob and Charlie, who have different empty fields."""
    fields = [
        Field("Name"),
        Field("Phone", "phoneNumber"),
        Field("Age", "number"),
        Field("Active", "checkbox"),
        Field("Plan", "singleSelect", options={"choices": [{"name": "Gold"}, {"name": "Tin"}]}),
        Field("Born", "date"),
        Field("Friends", "multipleRecordLinks", links_to="People"),
    ]
    base = Base(PEOPLE, "People", [Table("People", fields, id="tblPeople00000000")])
    table = base.table("People")
    alice = table.create(
        {
            "Name": "Alice",
            "Phone": "(415) 555-2671",
            "Age": 34,
            "Active": True,
            "Plan": "Gold",
            "Born": "1990-05-17",
        }
    )
    bob = table.create({"Name": "Bob O'Brien", "Age": 9, "Plan": "Tin", "Friends": [alice.id]})
    table.create({"Name": "Charlie", "Friends": [alice.id, bob.id]})
    return base


def names(records: Any) -> list[str]:
    return [record["fields"]["Name"] for record in records]


def control(sandbox: Sandbox, method: str, path: str, **options: Any) -> requests.Response:
    """A request to /_sandbox/, which needs no token."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"{sandbox.url}/_sandbox/{path}", timeout=5, **options)
