"""What each platform takes of a config, for `check_cache`."""

from collections.abc import Sequence

from airtable_sync.mapping.platform_rules import PlatformRules
from webhooks.platforms import build_platforms
from webhooks.platforms.base import Platform


class WebhookRules:
    """`settings` are Django's."""

    def __init__(self, settings: object) -> None:
        self._settings = settings

    def rules(self) -> Sequence[PlatformRules]:
        return [_rules(each) for each in build_platforms(self._settings).values()]


def _rules(platform: Platform) -> PlatformRules:
    return PlatformRules(
        platform=platform.name,
        is_set_up=bool(platform.secrets),
        settings=platform.used_settings,
        names=platform.name_rule.text,
        can_use=platform.can_use,
        max_variables=platform.max_variables,
        max_characters=platform.max_characters,
    )
