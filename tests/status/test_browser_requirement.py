"""Without a browser, the browser tests are skipped with a message, and fail in CI."""

import pytest

from tests.support import browser


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "NAMES", ("no-browser-is-called-so",))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.delenv("SIFTLY_REQUIRE_BROWSER", raising=False)


def test_without_a_browser_they_are_skipped_with_a_message(no_browser: None) -> None:
    with pytest.raises(pytest.skip.Exception, match="The browser tests were skipped: no Chromium"):
        browser.require_browser()


def test_where_a_browser_is_required_they_fail(
    no_browser: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIFTLY_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="SIFTLY_REQUIRE_BROWSER is set"):
        browser.require_browser()
