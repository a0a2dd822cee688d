"""Answers as the platforms that are set up would get them, for who looks at a number."""

import json

from airtable_sync.lookup.answerer import Answer
from airtable_sync.status.platform_previews import Shown
from webhooks.platforms import PLATFORMS
from webhooks.platforms.base import Platform


def set_up() -> tuple[str, ...]:
    """The platforms that have a secret."""
    return tuple(name for name, each in PLATFORMS.items() if each.secrets())


def show(answer: Answer) -> list[Shown]:
    return [_shown(PLATFORMS[name], answer) for name in set_up()]


def _shown(platform: Platform, answer: Answer) -> Shown:
    call = platform.call_in(platform.body(answer.number or ""))
    response = platform.response(call, platform.permitted(answer))
    return Shown(platform.name, _readable(response.body.decode()))


def _readable(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.replace("><", ">\n<")
