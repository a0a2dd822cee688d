"""A sandbox per test, with the sample base, and two ways to ask it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from pyairtable import Api
from pyairtable import Table as TableClient

from sandbox.airtable.bases import Base, Field, Table
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox

PEOPLE = "appPeople00000000"


@dataclass
class Asker:
    """Plain requests, for what a client library would hide."""

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
def ask(sandbox: Sandbox) -> Iterator[Asker]:
    with requests.Session() as session:
        session.trust_env = False
        yield Asker(sandbox, session)


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
    """pyairtable's view of the people."""
    return api.table(PEOPLE, "People")


def people_base() -> Base:
    """Alice, Bob and Charlie, who differ in what they left empty."""
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
