"""Sends one follow-up request, and says what its result means."""

import json
import re
import time
from dataclasses import dataclass
from typing import Literal

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from webhooks.platforms.base import FollowUp

CONNECT_SECONDS = 2.0
MAX_ERROR_BYTES = 4096
# A gateway's 504 is not here: behind it, the request may have been carried out.
TEMPORARY = frozenset({429, 500, 502, 503})
TEMPORARY_REMEDY = "It may be overloaded or down."
_CODE = re.compile("[A-Za-z0-9_.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Result:
    """`unknown`: there was no answer, so the request may have been carried out. `may_repeat`: it
    was certainly not carried out, and another try may help."""

    outcome: Literal["sent", "failed", "unknown"]
    problem: str = ""
    may_repeat: bool = False


def send_request(follow_up: FollowUp, seconds: float) -> Result:
    """Connections are not kept: a kept one may break just when a request is sent, and nobody knows
    then whether it was carried out."""
    if not follow_up.token:
        return Result("failed", f"{follow_up.token_setting} is not set.")
    started = time.monotonic()
    try:
        with requests.Session() as session:
            response = session.post(
                follow_up.url,
                json=follow_up.content,
                auth=_Bearer(follow_up.token),
                headers={"Accept-Encoding": "identity"},
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,  # a body of any size could come
            )
            return _result(follow_up, response)
    except requests.RequestException as error:
        return _result_of_error(error, time.monotonic() - started)


class _Bearer(requests.auth.AuthBase):
    """Not a plain header, which requests replaces if the machine has a .netrc for this host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _result(follow_up: FollowUp, response: requests.Response) -> Result:
    status = response.status_code
    if 200 <= status < 300:
        return Result("sent")
    if status == 504:
        return Result("unknown", "it answered 504.")
    is_temporary = status in TEMPORARY
    codes, remedies = _error_codes(response), follow_up.remedies
    reasons: list[int | str] = [*codes, status]
    default = TEMPORARY_REMEDY if is_temporary else ""
    remedy = next((remedies[each] for each in reasons if each in remedies), default)
    named = f" ({', '.join(codes)})" if codes else ""
    problem = f"it answered {status}{named}. {remedy}".strip()
    return Result("failed", problem, may_repeat=is_temporary)


def _result_of_error(error: requests.RequestException, seconds: float) -> Result:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError):
        return Result("failed", "it can't be reached.", may_repeat=True)
    if isinstance(error, requests.exceptions.SSLError):
        return Result("failed", "its certificate can't be verified.")
    if isinstance(error, requests.Timeout):
        return Result("unknown", f"no answer came within {seconds:.1f} s.")
    if isinstance(error, requests.ConnectionError):
        return Result("unknown", "the connection broke before an answer came.")
    return Result("failed", f"the request can't be sent ({type(error).__name__}).")


def _error_codes(response: requests.Response) -> list[str]:
    """`invalid_api_key`. Not the error's message, which may quote what was sent.
    https://developers.openai.com/api/docs/guides/error-codes"""
    try:
        error = json.loads(response.raw.read1(MAX_ERROR_BYTES))["error"]
        named = [error.get(name) for name in ("code", "type", "param")]
    except (HTTPError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
    return [each for each in named if isinstance(each, str) and _CODE.fullmatch(each)]
