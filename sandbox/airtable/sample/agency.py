"""The base of an agency in Ghent that runs phone agents for six clients, as people make such bases:
six tables, names with blanks, and fields of many types.

Each call of `agency_base` makes a new base. The ids and times are the same in every run.
`agency.toml` is its mapping.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sandbox.airtable.common.ids import stable_id
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import LINK, Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample import options
from sandbox.airtable.sample.agency_clients import CLIENTS, PEOPLE
from sandbox.airtable.sample.agency_contacts import CONTACTS
from sandbox.airtable.sample.agency_hours import DAYS, HOURS
from sandbox.airtable.sample.agency_lines import PHONE_LINES, TEXTS
from sandbox.airtable.sample.bases import FIRST_CREATED
from sandbox.airtable.sample.stable_schema import make_choices, make_field, make_link, make_table

AGENCY_BASE_ID = "appAgencySandbox0"
AGENCY_MAPPING = Path(__file__).with_name("agency.toml")
LANGUAGES = ("Dutch", "French", "German", "English")
STATUSES = ("Active", "Paused", "Draft")
RECORDS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "People": PEOPLE,
    "Hours": HOURS,
    "Texts": TEXTS,
    "Clients": CLIENTS,
    "Phone lines": PHONE_LINES,
    "Contacts": CONTACTS,
}
"""Table → key → cells. A link cell has the keys of the linked records, whose table comes before."""


def agency_base() -> Base:
    tables = [_phone_lines(), _clients(), _people(), _hours(), _texts(), _contacts()]
    base = Base(AGENCY_BASE_ID, "Klokke Agency", tables)
    for table, records in RECORDS.items():
        for key, cells in records.items():
            _add(base.table(table), key, cells)
    return base


def _phone_lines() -> Table:
    name = "Phone lines"
    fields = [
        make_field(name, "Number", "phoneNumber"),
        make_field(name, "Name"),
        make_link(name, "Client", "Clients", inverse="Phone lines"),
        make_field(name, "Status", "singleSelect", make_choices(STATUSES)),
        make_field(name, "Also reachable on", "phoneNumber"),
        make_link(name, "Opening hours", "Hours", inverse="Phone lines", single=False),
        make_field(name, "Agent"),
        make_field(name, "Price per minute", "currency", options.euros()),
        make_field(name, "Max wait", "duration", options.duration("h:mm")),
        make_link(name, "Texts", "Texts", inverse="Phone lines", single=False),
        make_field(name, "Notes", "multilineText"),
        make_field(name, "Live since", "date", options.DATE),
        make_field(name, "Reviewed", "dateTime", options.date_time("Europe/Brussels")),
        make_field(name, "Recording", "checkbox", options.CHECKBOX),
        make_field(name, "Client VAT", "multipleLookupValues", options.lookup("Client", "VAT")),
    ]
    return make_table(name, fields, {"Live": "{Status}='Active'"})


def _clients() -> Table:
    name = "Clients"
    with_vat = options.formula("{Monthly fee} * (1 + {VAT})", "currency", options.euros())
    main_line = options.formula("{Company name} & ', ' & {Reception}")
    fields = [
        make_field(name, "Company name"),
        make_field(name, "Language", "singleSelect", make_choices(LANGUAGES)),
        make_field(name, "Reception", "phoneNumber"),
        make_field(name, "Main line", "formula", main_line),
        make_field(name, "VAT", "percent", options.number(1)),
        make_field(name, "Discount", "percent", options.number(1)),
        make_field(name, "Monthly fee", "currency", options.euros()),
        make_field(name, "Fee with VAT", "formula", with_vat),
        make_field(name, "Calls a day", "number", options.number(1)),
        make_link(name, "Contact person", "People", inverse="Contact for"),
        make_link(name, "Backup person", "People", inverse="Backup for"),
        make_field(name, "Logo", "multipleAttachments", options.ATTACHMENTS),
        make_link(name, "Phone lines", "Phone lines", inverse="Client", single=False),
        make_link(name, "Contacts", "Contacts", inverse="Client", single=False),
        make_field(name, "Number of contacts", "count", options.count("Contacts")),
    ]
    return make_table(name, fields)


def _people() -> Table:
    fields = [
        make_field("People", "Name"),
        make_field("People", "Email", "email"),
        make_field("People", "Phone", "phoneNumber"),
        make_link("People", "Contact for", "Clients", inverse="Contact person", single=False),
        make_link("People", "Backup for", "Clients", inverse="Backup person", single=False),
    ]
    return make_table("People", fields)


def _hours() -> Table:
    """A primary field can't be a select field, so it is a formula."""
    fields = [
        make_field("Hours", "Slot", "formula", options.formula("{Day} & ' ' & {From}")),
        make_field("Hours", "Day", "singleSelect", make_choices(DAYS)),
        make_field("Hours", "From"),
        make_field("Hours", "To"),
        make_link("Hours", "Phone lines", "Phone lines", inverse="Opening hours", single=False),
    ]
    return make_table("Hours", fields)


def _texts() -> Table:
    fields = [
        make_field("Texts", "key_pair"),
        make_link("Texts", "Phone lines", "Phone lines", inverse="Texts", single=False),
    ]
    return make_table("Texts", fields)


def _contacts() -> Table:
    fields = [
        make_field("Contacts", "First name"),
        make_field("Contacts", "Last name"),
        make_field("Contacts", "Phone", "phoneNumber"),
        make_link("Contacts", "Client", "Clients", inverse="Contacts"),
        make_field("Contacts", "Last order", "date", options.DATE),
        make_field("Contacts", "VIP", "checkbox", options.CHECKBOX),
    ]
    return make_table("Contacts", fields)


def _add(table: Table, key: str, cells: Mapping[str, Any]) -> None:
    created = FIRST_CREATED + timedelta(hours=len(table.records))
    values = {name: _cell(table.field(name), value) for name, value in cells.items()}
    table.create(values, id=_record_id(table.name, key), created_time=created)


def _cell(field: Field, value: Any) -> Any:
    if field.type != LINK:
        return value
    return [_record_id(field.links_to, key) for key in value]


def _record_id(table: str, key: str) -> str:
    return stable_id("rec", f"{AGENCY_BASE_ID}/{table}/{key}")
