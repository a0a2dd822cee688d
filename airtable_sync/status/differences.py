"""The table of differences: which numbers a run changed or would change, and how."""

from collections.abc import Sequence
from typing import Any

from airtable_sync.status.display.masking import mask_pair
from airtable_sync.status.display.record_links import RecordLinks

DIFFERENCES_SHOWN = 200


def shown_differences(
    differences: Sequence[dict[str, Any]], total: int, links: RecordLinks, *, may_see: bool
) -> dict[str, Any]:
    """For the template `differences.html`. `differences` are as `Difference.to_json` makes them;
    `may_see`: whether the user may see secrets."""
    shown = differences[:DIFFERENCES_SHOWN]
    return {
        "differences": [_shown(each, links, may_see=may_see) for each in shown],
        "not_shown": max(0, total - len(shown)),
    }


def _shown(difference: dict[str, Any], links: RecordLinks, *, may_see: bool) -> dict[str, Any]:
    """`fields` has the values before and after, by name."""
    fields = {
        name: mask_pair(name, values, may_see=may_see)
        for name, values in difference.get("fields", {}).items()
    }
    return {**difference, "fields": fields, "links": links.links(difference.get("records", ()))}
