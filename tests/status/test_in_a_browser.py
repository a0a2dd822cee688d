"""The status page as an operator sees it: in Chromium, on gunicorn, with everything real behind."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from sandbox.airtable.faults import Fault
from sandbox.airtable.sample import linked_base
from tests.conftest import record_id
from tests.support.browser import PHONE, Site, Visitor, chromium, required, site, visiting
from tests.support.cast import JOHN, NUMBER
from tests.support.valkeys import start_valkey

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("SIFTLY_SCREENSHOTS", "")
TYPO = "+32460234219"  # John's number with two digits changed places


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    required()
    folder = tmp_path_factory.mktemp("site")
    with site(folder, linked_base(), AIRTABLE_PLAN="team") as started:
        yield started


RECOVERY = """
import io
import time
from django.core.management import call_command
from airtable_sync import budget, pins
from airtable_sync.models import Override
from airtable_sync.telemetry import unknown

for each in Override.objects.all():
    pins.end(each.number)
for each in unknown.called():
    unknown.erase(each.number)
budget.unblock()
report = '"busy"'  # by a refresh that an earlier test began, and left when it had seen enough
while '"busy"' in report:
    time.sleep(0.2)
    output = io.StringIO()
    call_command("refresh_airtable_cache", "--force", "--json", stdout=output)
    report = output.getvalue()
print(report, end="")
"""


@pytest.fixture
def well(shared: Site) -> Site:
    """The shared site, in good health, for a test that may change that."""
    shared.airtable.faults.clear()
    shared.airtable.latency = 0.0
    rename_john(shared, "John Doe")
    said = shared.python(RECOVERY)
    assert json.loads(said.splitlines()[-1])["status"] in ("published", "unchanged")
    shared.is_well = False
    return shared


@pytest.fixture
def looked_at(shared: Site, request: pytest.FixtureRequest) -> Site:
    """The shared site, in good health, for a test that changes nothing."""
    if not shared.is_well:
        request.getfixturevalue("well")
        shared.is_well = True
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """A site of this test's own, whose parts may be killed."""
    required()
    with site(tmp_path, linked_base()) as started:
        yield started


def rename_john(at: Site, name: str) -> None:
    rows = at.airtable.base().table("dynamic_variables")
    names = ("John Doe", "All wrong")
    row = next(each for each in rows.records if rows.values(each).get("customer_name") in names)
    rows.update(row, {"customer_name": name})


def shot(visitor: Visitor, name: str) -> None:
    """For who wants to look at every state: SIFTLY_SCREENSHOTS=<folder>."""
    if SHOTS:
        visitor.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def verdict(visitor: Visitor) -> str:
    return visitor.page.locator("#part-verdict").inner_text()


def test_a_healthy_cache_is_said_to_be_well(browser: Browser, well: Site) -> None:
    for _ in range(5):
        assert well.server.call(NUMBER).headers["X-Siftly-Source"] == "memory"
    with visiting(browser, well) as visitor:
        visitor.shows("All is well")
        visitor.shows("All 26 numbers are cached; last refreshed")
        expect(visitor.page.locator("#part-answers .headline")).to_contain_text(
            re.compile(r"[5-9]|\d\d"), timeout=25_000
        )
        shot(visitor, "healthy")
        visitor.has_no_fault()


def test_it_follows_what_happens_without_a_reload(browser: Browser, well: Site) -> None:
    with visiting(browser, well) as visitor:
        page = visitor.page
        page.evaluate("window.sameDocument = true")
        page.focus("#refresh-now")
        runs = page.locator("#part-runs tbody tr").count()
        well.refresh("--full")
        expect(page.locator("#part-runs tbody tr")).to_have_count(min(12, runs + 1), timeout=15_000)
        expect(page.locator("#refresh-now")).to_be_focused(timeout=15_000)  # it goes during the run
        assert page.evaluate("window.sameDocument")
        visitor.has_no_fault()


def test_a_slow_click_is_not_lost_when_its_part_is_shown_anew(browser: Browser, well: Site) -> None:
    with visiting(browser, well) as visitor:
        page = visitor.page
        page.locator("#part-runs tbody a").first.hover()
        page.mouse.down()
        others = page.locator("#part-airtable[data-shown]")  # as each that has been shown anew
        others.wait_for(state="attached", timeout=15_000)
        page.mouse.up()
        page.wait_for_url("**/admin/cache/runs/**")


def test_a_refresh_shows_its_progress_and_outlives_the_web_process(
    browser: Browser, own: Site
) -> None:
    own.airtable.latency = 1.5
    with visiting(browser, own) as visitor:
        page = visitor.page
        page.click("#refresh-now")
        visitor.shows("A refresh was started")
        visitor.shows("ada is refreshing")
        expect(page.locator(".progress")).to_contain_text("Reading twilio_number")
        own.airtable.latency = 4.0  # long enough for another worker to be asked
        assert page.locator("#refresh-now").count() == 0
        shot(visitor, "refreshing")
        visitor.has_no_fault()
        (worker,) = own.server.workers()
        os.kill(worker, 9)
    with visiting(browser, own) as visitor:
        visitor.shows("ada is refreshing")
        own.airtable.latency = 0.0
        expect(visitor.page.locator(".progress")).to_have_count(0, timeout=20_000)
        row = visitor.page.locator("#part-runs tbody tr").first
        expect(row).to_contain_text("unchanged")
        expect(row).to_contain_text("ada")


def test_a_second_press_starts_no_second_run(browser: Browser, own: Site) -> None:
    own.airtable.latency = 1.0
    deaf = visiting(browser, own, java_script_enabled=False)  # so that its button stays
    with visiting(browser, own) as first, deaf as second:
        first.page.click("#refresh-now")
        first.shows("ada is refreshing")
        second.page.click("#refresh-now")
        second.shows("A refresh is running already: ada started it")
        expect(first.page.locator(".progress")).to_have_count(0, timeout=20_000)
        assert first.page.locator("#part-runs tbody tr").count() == 2


def test_a_wrong_token_is_named_with_what_to_do(browser: Browser, well: Site) -> None:
    well.variables["AIRTABLE_API_KEY"], right = "not-the-token", well.variables["AIRTABLE_API_KEY"]
    try:
        assert well.refresh()["status"] == "failed"
    finally:
        well.variables["AIRTABLE_API_KEY"] = right
    with visiting(browser, well) as visitor:
        visitor.shows("Needs attention")
        assert "The last refresh failed: Airtable answered 401" in verdict(visitor)
        assert "Check AIRTABLE_API_KEY" in verdict(visitor)
        assert "The 26 numbers of the last good set stay served." in verdict(visitor)
        shot(visitor, "wrong-token")
        visitor.has_no_fault()


def test_a_missing_field_is_named_with_what_to_do(browser: Browser, well: Site) -> None:
    table = well.airtable.base().table("language_agent_names")
    table.rename_field("key_pair", "pair")
    try:
        assert well.refresh("--full")["status"] == "refused"
    finally:
        table.rename_field("pair", "key_pair")
    with visiting(browser, well) as visitor:
        visitor.shows("Needs attention")
        assert "language_agent_names has no field key_pair" in verdict(visitor)
        assert "Give the field or table its name back" in verdict(visitor)
        shot(visitor, "missing-field")
        visitor.has_no_fault()


def test_the_months_quota_is_named_with_what_to_do(browser: Browser, well: Site) -> None:
    fault = Fault(status=429, error="PUBLIC_API_BILLING_LIMIT_EXCEEDED", shape="array", times=None)
    well.airtable.faults.add(fault)
    assert well.refresh("--full")["status"] == "failed"
    with visiting(browser, well) as visitor:
        visitor.shows("Calls are at risk")
        assert "The month's requests to Airtable are used up" in verdict(visitor)
        assert "Raise the plan" in verdict(visitor)
        shot(visitor, "quota")
        visitor.has_no_fault()


SEVEN_HOURS_AGO = """
import json
from dataclasses import asdict
from datetime import timedelta

from django.db.models import F

from airtable_sync.models import Run
from airtable_sync.store import TELEMETRY
from airtable_sync.telemetry import run_results

Run.objects.update(
    started_at=F("started_at") - timedelta(hours=7), ended_at=F("ended_at") - timedelta(hours=7)
)
for status, run in run_results.last().items():
    earlier = json.dumps({**asdict(run), "ended_at": run.ended_at - 7 * 3600})
    script = 'return redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])'
    TELEMETRY.run(script, [run_results.LAST_RUNS], [status, earlier])
"""


def test_cron_that_has_not_run_is_noticed(browser: Browser, well: Site) -> None:
    """Neither by the database nor by Redis, which may know of a cron job on another machine."""
    well.python(SEVEN_HOURS_AGO)
    with visiting(browser, well) as visitor:
        visitor.shows("The cron job has not run: the last refresh ended 7 hours ago.")
        shot(visitor, "cron")
        visitor.has_no_fault()


def test_without_redis_the_page_opens_in_time_and_says_so(browser: Browser, own: Site) -> None:
    with visiting(browser, own) as visitor:
        port = own.valkey.port
        own.valkey.terminate()
        started = time.monotonic()
        visitor.page.goto(own.url)
        assert time.monotonic() - started < 2
        assert "Redis does not answer: calls are answered from memory" in verdict(visitor)
        assert own.server.call(NUMBER).json()["call_inbound"]["dynamic_variables"] == JOHN
        shot(visitor, "redis-away")
        visitor.has_no_fault()
        visitor.page.goto(f"{own.url}number/?q=0460234291")
        visitor.shows("this process's memory")
        own.airtable.stop()
        for place in range(4):  # cold numbers find out that Airtable is away
            own.server.call(f"+3246099000{place}")
        started = time.monotonic()
        visitor.page.goto(own.url)
        assert time.monotonic() - started < 2
        assert "Redis and Airtable do not answer" in verdict(visitor)
        assert "Calls are at risk" in verdict(visitor)
        shot(visitor, "both-away")
        visitor.has_no_fault()
        revived = start_valkey(port)
        said = visitor.page.locator("#part-verdict")
        expect(said).not_to_contain_text("Redis and Airtable do not answer", timeout=20_000)
        revived.terminate()


def test_without_airtable_the_page_opens_in_time_and_says_so(browser: Browser, own: Site) -> None:
    own.airtable.stop()
    for place in range(4):
        own.server.call(f"+3246099000{place}")
    with visiting(browser, own) as visitor:
        started = time.monotonic()
        visitor.page.goto(own.url)
        assert time.monotonic() - started < 2
        visitor.shows("Airtable does not answer: known numbers are served from the cache")
        shot(visitor, "airtable-away")
        visitor.has_no_fault()


def test_a_number_that_is_called_in_vain_is_shown_beside_the_nearest_one(
    browser: Browser, well: Site
) -> None:
    for _ in range(4):
        well.server.call(TYPO)
    with visiting(browser, well) as visitor:
        visitor.shows(f"{TYPO} was called 4 times and is not known.", seconds=25)
        row = visitor.page.locator("#part-unknown tbody tr", has_text=TYPO)
        expect(row.locator("td").last).to_have_text(NUMBER)
        shot(visitor, "unknown")
        visitor.has_no_fault()


def test_a_number_is_looked_up_read_again_and_dropped(browser: Browser, well: Site) -> None:
    with visiting(browser, well) as visitor:
        page = visitor.page
        page.fill("#find-q", "0460 23 42 91")
        page.get_by_role("button", name="Look up").click()
        for text in ("John Doe", "Redis; read by a refresh", '"customer_known": true'):
            visitor.shows(text)
        link = page.locator("a", has_text="client/rec").get_attribute("href")
        assert link
        assert re.fullmatch(r"https://airtable\.com/app\w+/tbl\w+/rec\w+", link)
        shot(visitor, "number")
        visitor.has_no_fault()
        rename_john(well, "All wrong")
        page.click("#reread")
        visitor.shows("it has changed")
        visitor.shows("All wrong")
        page.click("#drop")
        visitor.shows(f"Drop {NUMBER} from the cache?")
        visitor.has_no_fault()
        page.click("#confirm")
        visitor.shows("Redis has no entry of it: the next call asks Airtable.")
        assert well.server.call(NUMBER).headers["X-Siftly-Source"] == "airtable"
        visitor.has_no_fault()


def test_a_pin_wins_until_it_is_ended(browser: Browser, well: Site) -> None:
    with visiting(browser, well) as visitor:
        page = visitor.page
        page.goto(f"{well.url}number/?q=0460234291")
        page.click("#pin-details summary")
        page.get_by_label("account_type").fill("pinned by hand")
        page.get_by_label("Reason").fill("The CRM is being cleaned up")
        visitor.has_no_fault()
        page.click("#pin")
        visitor.shows("is pinned until")
        told = {**JOHN, "account_type": "pinned by hand"}
        assert _told(well) == told
        assert well.refresh("--full")["changed"] == 0
        assert _told(well) == told
        shot(visitor, "pinned-number")
        page.goto(well.url)
        visitor.shows("1 number is pinned by hand")
        visitor.shows("The CRM is being cleaned up")
        shot(visitor, "pinned")
        visitor.has_no_fault()
        page.goto(f"{well.url}number/?q=0460234291")
        page.click("#end-pin")
        visitor.shows("The pin was ended")
        _wait_until(lambda: _told(well) == JOHN)


def test_a_set_is_rolled_back_to_and_released(browser: Browser, well: Site) -> None:
    rename_john(well, "All wrong")
    well.refresh("--full")
    with visiting(browser, well) as visitor:
        page = visitor.page
        page.locator("#sets a").nth(1).click()
        shot(visitor, "run")
        visitor.has_no_fault()
        page.click("#roll-back")
        visitor.shows("It holds: refreshes and edits in Airtable change nothing until")
        shot(visitor, "confirm")
        visitor.has_no_fault()
        page.click("#confirm")
        visitor.shows("A rollback has held")
        expect(page.locator("#part-runs tbody tr").first).to_contain_text("rolled-back")
        _wait_until(lambda: _told(well)["customer_name"] == "John Doe")
        shot(visitor, "rolled-back")
        visitor.has_no_fault()
        page.click("#release")
        visitor.shows("Released.")
        _wait_until(lambda: _told(well)["customer_name"] == "All wrong")


def test_a_run_tells_its_differences(browser: Browser, well: Site) -> None:
    rename_john(well, "All wrong")
    numbers = well.airtable.base().table("twilio_number")
    client = record_id(well.airtable, "client", "name", "John Doe")
    double = numbers.create({"twilio_number": "0460 23 42 91", "client": [client]})
    lost = numbers.create({"twilio_number": "+32 460 11 12 13"})
    try:
        assert well.refresh("--full")["status"] == "published"
    finally:
        numbers.delete(double.id)
        numbers.delete(lost.id)
    with visiting(browser, well) as visitor:
        visitor.page.locator("#part-runs tbody a").first.click()
        for text in ("customer_name", "John Doe", "All wrong", "Conflicts", "Invalid rows"):
            visitor.shows(text)
        assert visitor.page.locator(f'a[href$="{double.id}"]').count() == 1
        shot(visitor, "differences")
        visitor.has_no_fault()


def test_a_viewer_sees_no_buttons(browser: Browser, looked_at: Site) -> None:
    with visiting(browser, looked_at, user="vera") as visitor:
        visitor.shows("All is well")
        for path in ("", "number/?q=0460234291", "answers/", "runs/1/"):
            visitor.page.goto(f"{looked_at.url}{path}")
            names = visitor.page.locator("#content button").all_inner_texts()
            assert set(names) <= {"Look up", "Search"}
            assert visitor.page.locator("#roll-back, #drop, #pin").count() == 0
            visitor.has_no_fault()


def test_who_may_not_see_runs_sees_nothing(browser: Browser, looked_at: Site) -> None:
    with visiting(browser, looked_at, user="nobody") as visitor:
        visitor.page.goto(looked_at.url)
        visitor.shows("403")
        assert visitor.page.locator("#part-verdict").count() == 0


@pytest.mark.parametrize("path", ["", "number/?q=0460234291", "answers/", "runs/1/"])
def test_it_works_on_a_phone(browser: Browser, looked_at: Site, path: str) -> None:
    with visiting(browser, looked_at, viewport=PHONE, has_touch=True) as visitor:
        visitor.page.goto(f"{looked_at.url}{path}")
        shot(visitor, f"phone-{path.partition('/')[0] or 'status'}")
        visitor.has_no_fault()


@pytest.mark.parametrize("path", ["", "number/?q=0460234291", "answers/", "runs/1/"])
def test_it_works_in_dark_mode(browser: Browser, looked_at: Site, path: str) -> None:
    with visiting(browser, looked_at, color_scheme="dark") as visitor:
        visitor.page.goto(f"{looked_at.url}{path}")
        background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(18, 18, 18)"
        shot(visitor, f"dark-{path.partition('/')[0] or 'status'}")
        visitor.has_no_fault()


def test_it_works_without_scripts(browser: Browser, well: Site) -> None:
    with visiting(browser, well, java_script_enabled=False) as visitor:
        visitor.page.click("#refresh-now")
        visitor.shows("A refresh was started")
        visitor.page.get_by_role("link", name="Reload").click()
        visitor.shows("Cache status")


def test_the_stock_admin_works_under_the_policy(browser: Browser, looked_at: Site) -> None:
    with visiting(browser, looked_at) as visitor:
        for path in (
            "",
            "airtable_sync/run/",
            "airtable_sync/run/1/change/",
            "airtable_sync/snapshot/",
            "airtable_sync/pin/",
            "auth/user/",
            "auth/user/2/change/",
            "auth/group/add/",
        ):
            visitor.page.goto(f"{looked_at.server.url}/admin/{path}")
        assert visitor.complaints == []


def _told(at: Site) -> dict[str, str]:
    told: dict[str, str] = at.server.call(NUMBER).json()["call_inbound"]["dynamic_variables"]
    return told


def _wait_until(happened: Callable[[], bool], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)
