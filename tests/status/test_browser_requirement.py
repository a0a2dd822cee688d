"""The browser tests are skipped aloud where there is no browser, and fail in CI."""

import pytest

from tests.support import browser


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "NAMES", ("no-browser-is-called-so",))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.delenv("SIFTLY_REQUIRE_BROWSER", raising=False)


def test_without_a_browser_they_are_skipped_and_say_so(without: None) -> None:
    with pytest.raises(pytest.skip.Exception, match="The browser tests were skipped: no Chromium"):
        browser.required()


def test_where_one_is_required_they_fail(without: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIFTLY_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="SIFTLY_REQUIRE_BROWSER is set"):
        browser.required()
