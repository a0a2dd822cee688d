"""The settings of a number: what its record says besides variables. Each platform uses some of them
(`webhooks/platforms`)."""

from airtable_sync.mapping.cell_shapes import is_too_deep
from siftly.server import strict_json

AGENT_ID = "agent_id"
SETTINGS = (
    AGENT_ID,
    "agent_version",
    "agent_override",
    "reject",
    "squad_id",
    "assistant",
    "transfer_to",
    "error_message",
    "first_message",
    "language",
    "prompt",
    "voice_id",
    "branch_id",
    "environment",
    "user_id",
    "memory",
    "conversation",
    "model",
    "voice",
    "instructions",
    "twilio_connect_url",
    "preferred_agent_id",  # the same as agent_id
)
MAX_DEPTH = 50
JSON_SETTINGS = ("agent_override", "assistant", "memory", "conversation")


def problem_of_setting(name: str, text: str) -> str:
    """Why the text can't be used as this setting; "" if it can."""
    if name not in JSON_SETTINGS:
        return ""
    try:
        value = strict_json.DECODER.decode(text)
    except (ValueError, RecursionError):
        return "is not JSON"
    if is_too_deep(value, MAX_DEPTH):
        return "is nested too deeply"
    return "" if isinstance(value, dict) else "is not a JSON object"
