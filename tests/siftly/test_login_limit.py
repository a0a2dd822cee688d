"""Passwords are checked one at a time, so that calls keep the processor."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from siftly import login_limit
from siftly.login_limit import MAX_WAITING, LoginLimit
from tests.support.waiting import wait_until

LOGIN = "/admin/login/"


class Logins:
    """Checks a password until it is told to end."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.at_a_time = self.most_at_a_time = 0

    def __call__(self, _: HttpRequest) -> HttpResponse:
        self.at_a_time += 1
        self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
        self.may_end.wait(30)
        self.at_a_time -= 1
        return HttpResponse()


def test_one_password_is_checked_at_a_time_and_too_many_logins_are_busy() -> None:
    logins = Logins()
    limited, requests = LoginLimit(logins), RequestFactory()
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(limited, requests.post(LOGIN)) for _ in range(40)]
        wait_until(lambda: sum(each.done() for each in answers) == 40 - MAX_WAITING)
        refused = next(each.result() for each in answers if each.done())
        assert (refused.status_code, refused["Retry-After"]) == (503, "10")
        logins.may_end.set()
        statuses = [each.result().status_code for each in answers]
    assert statuses.count(200) == MAX_WAITING
    assert logins.most_at_a_time == 1


def test_a_login_that_waits_too_long_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limit, "WAIT_SECONDS", 0.05)
    logins = Logins()
    limited, requests = LoginLimit(logins), RequestFactory()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(limited, requests.post(LOGIN))
        wait_until(lambda: logins.at_a_time)
        assert limited(requests.post(LOGIN)).status_code == 503
        logins.may_end.set()
        assert first.result().status_code == 200
