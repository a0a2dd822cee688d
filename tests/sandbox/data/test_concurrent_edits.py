"""Threads edit a base while the server reads it."""

import threading

from pyairtable import Table as TableClient

from sandbox.airtable.data.tables import Table


def test_threads_can_edit_a_base_while_it_is_read(client: TableClient, people: Table) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    def edit() -> None:
        try:
            while not done.is_set():
                record = people.create({"Name": "Passing", "Friends": list(people.records)[:1]})
                people.update(record.id, {"Age": 1})
                people.delete(record.id)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=edit) for _ in range(3)]
    for thread in threads:
        thread.start()
    sizes = [len(client.all(page_size=2, formula="{Name}", sort=["Name"])) for _ in range(15)]
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all(3 <= size <= 6 for size in sizes)
    assert len(people.records) == 3
