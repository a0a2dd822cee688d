"""JSON without NaN and Infinity. Python accepts them, but they are not JSON.
https://www.rfc-editor.org/rfc/rfc8259#section-6"""

import json
import math
from typing import Any, NoReturn


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _finite_float(text: str) -> float:
    """Python reads `1e999` as infinity."""
    number = float(text)
    if math.isinf(number):
        raise ValueError("The number is too large.")
    return number


# For `json.loads` and for requests' `Response.json`.
OPTIONS: dict[str, Any] = {"parse_constant": _refuse_constant, "parse_float": _finite_float}
DECODER = json.JSONDecoder(**OPTIONS)
