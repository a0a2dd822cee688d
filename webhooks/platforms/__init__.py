"""The voice platforms. A new one is one file beside this one, and one line here.

Start reading at `base.py`."""

from typing import Any

from webhooks.platforms.base import Platform
from webhooks.platforms.elevenlabs import ElevenLabs
from webhooks.platforms.fishaudio import FishAudio
from webhooks.platforms.generic import Generic
from webhooks.platforms.openai import OpenAI
from webhooks.platforms.plivo import Plivo
from webhooks.platforms.retell import Retell
from webhooks.platforms.signalwire import SignalWire
from webhooks.platforms.standard import Standard
from webhooks.platforms.synthflow import Synthflow
from webhooks.platforms.telnyx import Telnyx
from webhooks.platforms.twilio import Twilio
from webhooks.platforms.vapi import Vapi

PLATFORM_CLASSES: tuple[type[Platform], ...] = (
    Retell,
    ElevenLabs,
    Vapi,
    Twilio,
    Plivo,
    SignalWire,
    Telnyx,
    Synthflow,
    Standard,
    OpenAI,
    FishAudio,
    Generic,
)


def build_platforms(settings: Any) -> dict[str, Platform]:
    """All platforms by name. One whose secret is not set does not accept calls."""
    return {each.name: each(settings) for each in PLATFORM_CLASSES}
