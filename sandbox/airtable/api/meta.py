"""The routes under /v0/meta: the user, the bases, and a base's schema.

https://airtable.com/developers/web/api/get-base-schema
"""

from typing import Any

from sandbox.airtable.api.endpoint import Call
from sandbox.airtable.api.field_options import field_options
from sandbox.airtable.common.access import USER_ID
from sandbox.airtable.data.schema import Field, View
from sandbox.airtable.data.tables import Table


def who_am_i(call: Call) -> dict[str, Any]:
    return {"id": USER_ID, "scopes": sorted(call.request.token.scopes)}


def bases(call: Call) -> dict[str, Any]:
    token = call.request.token
    allowed = [b for b in call.state.bases.values() if token.allows_base(b.id)]
    level = {"permissionLevel": token.permission_level}
    return {"bases": [{"id": b.id, "name": b.name} | level for b in allowed]}


def base_schema(call: Call) -> dict[str, Any]:
    with_fields = "visibleFieldIds" in call.request.parameters.get("include", [])
    return {
        "tables": [_table(table, with_visible_fields=with_fields) for table in call.base.tables]
    }


def _table(table: Table, *, with_visible_fields: bool) -> dict[str, Any]:
    return {
        "id": table.id,
        "name": table.name,
        "primaryFieldId": table.fields[0].id,
        "fields": [_field(table, field) for field in table.fields],
        "views": [_view(table, view, with_visible_fields) for view in table.views],
    }


def _field(table: Table, field: Field) -> dict[str, Any]:
    result: dict[str, Any] = {"id": field.id, "name": field.name, "type": field.type}
    if options := field_options(table, field):
        result["options"] = options
    if field.description:
        result["description"] = field.description
    return result


def _view(table: Table, view: View, with_visible_fields: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"id": view.id, "name": view.name, "type": view.type}
    if with_visible_fields and view.type == "grid":
        hidden = view.hidden_fields
        result["visibleFieldIds"] = [f.id for f in table.fields if f.name not in hidden]
    return result
