"""Previews of answers in the format of each platform, for the status page."""

import json

from airtable_sync.lookup.answer import Answer
from airtable_sync.status.platform_previews import PlatformPreview
from webhooks.platforms import build_platforms
from webhooks.platforms.base import Platform


class WebhookPreviews:
    """`settings` are Django's."""

    def __init__(self, settings: object) -> None:
        self._settings = settings

    def platforms(self) -> tuple[str, ...]:
        """The platforms that have a secret."""
        return tuple(name for name, each in build_platforms(self._settings).items() if each.secrets)

    def preview(self, answer: Answer) -> list[PlatformPreview]:
        platforms = build_platforms(self._settings)
        return [_preview(platforms[name], answer) for name in self.platforms()]


def _preview(platform: Platform, answer: Answer) -> PlatformPreview:
    call = platform.parse_call(platform.sample_body(answer.number or ""))
    response = platform.response(call, platform.without_reserved(answer))
    return PlatformPreview(platform.name, _readable(response.body.decode()))


def _readable(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.replace("><", ">\n<")
