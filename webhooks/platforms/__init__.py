"""The platforms that can call. A new one is one file beside this one, and one line here."""

from webhooks.platforms.base import Platform
from webhooks.platforms.retell import Retell

PLATFORMS: dict[str, Platform] = {platform.name: platform for platform in (Retell(),)}
