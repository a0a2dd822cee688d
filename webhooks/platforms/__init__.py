"""The platforms that can call. A new one is one file beside this one, and one line here."""

from webhooks.platforms.base import Platform
from webhooks.platforms.elevenlabs import ElevenLabs
from webhooks.platforms.retell import Retell
from webhooks.platforms.standard import Standard
from webhooks.platforms.synthflow import Synthflow
from webhooks.platforms.telnyx import Telnyx
from webhooks.platforms.twilio import Twilio
from webhooks.platforms.vapi import Vapi

_ALL = (Retell(), ElevenLabs(), Vapi(), Twilio(), Telnyx(), Synthflow(), Standard())

PLATFORMS: dict[str, Platform] = {platform.name: platform for platform in _ALL}
