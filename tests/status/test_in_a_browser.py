"""The status page in Chromium, on gunicorn, with a real Valkey and the Airtable sandbox. The tests
change nothing, so they share a site as it is after its first refresh."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Site, visiting
from tests.support.cast import NUMBER

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser-pages")]

PATHS = ["", "number/?q=0460234291", "answers/", "runs/1/", "help/problems/redis-down/"]


def test_a_healthy_cache_is_well(browser: Browser, shared: Site) -> None:
    for _ in range(5):
        assert shared.server.call(NUMBER).headers["X-Siftly-Source"] == "memory"
    with visiting(browser, shared) as visitor:
        visitor.shows("All is well")
        visitor.shows("All 26 numbers are cached; last refreshed")
        expect(visitor.page.locator("#part-calls .headline")).to_contain_text(
            re.compile(r"[5-9]|\d\d")
        )
        visitor.assert_no_faults()


def test_a_slow_click_is_not_lost_when_its_part_is_replaced(browser: Browser, shared: Site) -> None:
    with visiting(browser, shared) as visitor:
        page = visitor.page
        page.locator("#part-runs tbody a").first.hover()
        page.mouse.down()
        other = page.locator("#part-airtable[data-shown]")  # it was replaced
        other.wait_for(state="attached")
        page.mouse.up()
        page.wait_for_url("**/admin/cache/runs/**")


def test_a_viewer_sees_no_buttons(browser: Browser, shared: Site) -> None:
    with visiting(browser, shared, user="vera") as visitor:
        visitor.shows("All is well")
        for path in PATHS:
            visitor.page.goto(f"{shared.url}{path}")
            names = visitor.page.locator("#content button").all_inner_texts()
            assert set(names) <= {"Look up", "Search", "Copy"}  # nothing that changes anything
            assert visitor.page.locator("#roll-back, #drop, #override, #reread").count() == 0
            visitor.assert_no_faults()


def test_a_user_without_view_run_sees_nothing(browser: Browser, shared: Site) -> None:
    with visiting(browser, shared, user="nobody") as visitor:
        visitor.page.goto(shared.url)
        visitor.shows("Your account lacks the permission “Can view run”.")
        assert visitor.page.locator("#part-verdict").count() == 0


@pytest.mark.parametrize("path", [*PATHS, "../airtable_sync/run/"])
def test_the_pages_work_on_a_phone(browser: Browser, shared: Site, path: str) -> None:
    viewport = {"width": 320, "height": 844}
    with visiting(browser, shared, viewport=viewport, has_touch=True) as visitor:
        visitor.page.goto(f"{shared.url}{path}")
        visitor.assert_no_faults()
        cut = """[...document.querySelectorAll(".scroll:not(.tall), .results, .phone, dd, p")]
            .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1
                && getComputedStyle(each).display !== "inline").map((each) => each.outerHTML)"""
        assert visitor.page.evaluate(cut) == []  # each row of a table is a card
        visitor.page.set_viewport_size({"width": 390, "height": 844})
        visitor.assert_no_faults()


@pytest.mark.parametrize("path", PATHS)
def test_the_pages_work_in_dark_mode(browser: Browser, shared: Site, path: str) -> None:
    with visiting(browser, shared, color_scheme="dark") as visitor:
        visitor.page.goto(f"{shared.url}{path}")
        background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(18, 18, 18)"
        visitor.assert_no_faults()


def test_djangos_admin_works_under_the_policy(browser: Browser, shared: Site) -> None:
    with visiting(browser, shared) as visitor:
        for path in (
            "",
            "airtable_sync/run/",
            "airtable_sync/run/1/change/",
            "airtable_sync/snapshot/",
            "airtable_sync/override/",
            "auth/user/",
            "auth/user/2/change/",
            "auth/group/add/",
        ):
            visitor.page.goto(f"{shared.server.url}/admin/{path}")
        assert visitor.errors == []
