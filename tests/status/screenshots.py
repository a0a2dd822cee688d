"""`make screenshots`: pictures of the status page in each of its states, on a screen and a phone,
light and dark. Each is also checked with axe."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import record_id
from tests.support.browser import Site, visiting
from tests.support.cast import NUMBER
from tests.support.waiting import wait_until

FOLDER = Path(os.environ.get("SIFTLY_SCREENSHOTS", "docs/images"))
HEIGHTS = {1440: 900, 390: 1500}  # by width
THEMES = ("light", "dark")
TYPO = "+32460234219"  # two digits of NUMBER swapped
ONE = "number/?q=0460234291"
COLOURS = "96"  # of a picture: enough for text and a few flat colours


@dataclass
class Camera:
    at: Site
    browser: Browser
    folder: Path

    def take(
        self,
        name: str,
        path: str = "",
        then: Callable[[Page], object] | None = None,
        *,
        is_whole: bool = False,
    ) -> None:
        """`then` prepares the page. `is_whole`: not only its beginning."""
        for theme in THEMES:
            for width, most in HEIGHTS.items():
                options: dict[str, Any] = {
                    "viewport": {"width": width, "height": 900},
                    "color_scheme": theme,
                }
                with visiting(self.browser, self.at, **options) as visitor:
                    visitor.page.goto(f"{self.at.url}{path}")
                    if then:
                        then(visitor.page)
                    visitor.assert_no_faults()
                    file = self.folder / f"{name}-{width}-{theme}.png"
                    height = visitor.page.evaluate("document.documentElement.scrollHeight")
                    shown = min(height, height if is_whole else most)
                    clip: Any = {"x": 0, "y": 0, "width": width, "height": shown}
                    visitor.page.screenshot(path=str(file), full_page=True, clip=clip)
                    compress(file)


def compress(file: Path) -> None:
    """Without pngquant (a Debian package) a picture is three times as large."""
    if program := shutil.which("pngquant"):
        options = ["--force", "--strip", "--speed", "1", "--output", str(file)]
        subprocess.run([program, *options, COLOURS, str(file)], check=True)


def take_all(camera: Camera) -> None:
    healthy(camera)
    numbers(camera)
    overridden(camera)
    to_fix(camera)
    refreshing(camera)
    rolled_back(camera)
    rejected(camera)
    failing(camera)
    down(camera)  # the last one: it stops Valkey and Airtable


def healthy(camera: Camera) -> None:
    with visiting(camera.browser, camera.at) as visitor:
        visitor.follow("#dismiss")  # the first steps would fill half of each picture
    for number in (NUMBER, "+12125550187", NUMBER, "+31102345678", TYPO, NUMBER, "+31207946123"):
        camera.at.server.call(number)

    def are_counted() -> bool:
        with visiting(camera.browser, camera.at) as visitor:
            return "No calls" not in visitor.page.locator("#part-calls").inner_text()

    wait_until(are_counted, seconds=60)
    camera.take("healthy", is_whole=True)
    camera.take("answers", "answers/", lambda page: page.locator("summary").first.click())


def numbers(camera: Camera) -> None:
    camera.take("number", ONE)
    camera.take("number-not-cached", "number/?q=0460999999")


def overridden(camera: Camera) -> None:
    def fill(page: Page) -> None:
        page.click("#override-details summary")
        page.get_by_label("account_type").fill("VIP")
        page.get_by_label("Reason").fill("The CRM is being cleaned up")
        page.click("#override")

    camera.take("override-preview", ONE, fill)
    with visiting(camera.browser, camera.at) as visitor:
        visitor.page.goto(f"{camera.at.url}{ONE}")
        fill(visitor.page)
        visitor.page.click("#save-override")
        visitor.shows("has an override until")
    camera.take("number-with-override", ONE)
    with visiting(camera.browser, camera.at) as visitor:
        visitor.page.goto(f"{camera.at.url}{ONE}")
        visitor.page.click("#end-override")
        visitor.page.click("#confirm")
        visitor.shows("The override was ended")


def to_fix(camera: Camera) -> None:
    table = camera.at.airtable.base().table("twilio_number")
    client = record_id(camera.at.airtable, "client", "name", "John Doe")
    table.create({"twilio_number": "0460 23 42 91", "client": [client]})
    table.create({"twilio_number": "to be ordered", "client": [client]})
    camera.at.refresh("--full")
    camera.take("records-to-fix")


def refreshing(camera: Camera) -> None:
    with camera.at.airtable_waiting("client") as may_answer:
        with visiting(camera.browser, camera.at) as visitor:
            visitor.page.click("#refresh-now")
            visitor.page.locator(".progress").wait_for()
        camera.take("refreshing")
        may_answer.set()
        with visiting(camera.browser, camera.at) as visitor:
            visitor.page.locator("#refresh-now").wait_for()


def rolled_back(camera: Camera) -> None:
    camera.at.rename_john("All wrong")
    camera.at.refresh("--full")
    with visiting(camera.browser, camera.at) as visitor:
        older = visitor.page.locator("#snapshots a").nth(1).get_attribute("href") or ""
    run = older.rstrip("/").rpartition("/")[2]
    camera.take("roll-back", f"runs/{run}/roll-back/")
    with visiting(camera.browser, camera.at) as visitor:
        visitor.page.goto(f"{camera.at.url}runs/{run}/roll-back/")
        visitor.page.click("#confirm")
        visitor.page.locator("#outcome").wait_for()
    camera.take("paused")
    camera.take("release", "release/")
    with visiting(camera.browser, camera.at) as visitor:
        visitor.page.goto(f"{camera.at.url}release/")
        visitor.page.click("#confirm")
        visitor.page.locator("#outcome").wait_for()


def rejected(camera: Camera) -> None:
    table = camera.at.airtable.base().table("twilio_number")
    removed = [(each, table.values(each)) for each in list(table.records)[-18:]]
    for each, _ in removed:
        table.delete(each)
    camera.at.refresh("--full")
    camera.take("rejected")
    with visiting(camera.browser, camera.at) as visitor:
        run = (visitor.page.locator("#review").get_attribute("href") or "").split("/")[-2]
    camera.take("review", f"runs/{run}/")
    camera.take("publish-anyway", f"runs/{run}/publish-anyway/")
    for _, values in removed:
        table.create(dict(values))
    camera.at.refresh("--full")


def failing(camera: Camera) -> None:
    camera.at.refresh_with(AIRTABLE_API_KEY="not-the-token")
    camera.take("failing")
    camera.take("connection", "connection/")
    camera.at.refresh("--full")


def down(camera: Camera) -> None:
    camera.at.stop_valkey()
    camera.take("redis-down")
    camera.at.airtable.stop()
    for place in range(4):
        camera.at.server.call(f"+3246099000{place}")
    camera.take("at-risk")
    camera.at.start_valkey()


@pytest.mark.timeout(900)
def test_take_all(browser: Browser, shared: Site) -> None:
    """No test of the suite: the file's name does not begin with `test`."""
    take_all(Camera(shared, browser, FOLDER))
