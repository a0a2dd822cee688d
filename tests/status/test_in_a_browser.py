"""The status page in Chromium, on gunicorn, with a real Valkey and the Airtable sandbox."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from tests.conftest import record_id
from tests.support.browser import Site, Visitor, chromium, require_browser, site, visiting
from tests.support.cast import JOHN, NUMBER
from tests.support.servers.valkeys import start_valkey

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREENSHOTS = os.environ.get("SIFTLY_SCREENSHOTS", "")
TYPO = "+32460234219"  # John's number with two digits swapped


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require_browser()
    folder = tmp_path_factory.mktemp("site")
    with site(folder, linked_base(), AIRTABLE_PLAN="team") as started:
        yield started


RECOVERY = """
import io
import time
from django.core.management import call_command
from airtable_sync.models import Override
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumbers
from airtable_sync.services import services

for each in Override.objects.all():
    services().overrides.end(each.number)
unknown = UnknownNumbers(services().command_store)
for each in unknown.called():
    unknown.erase(each.number)
services().rate_limiter.unblock()
report = '"busy"'  # a refresh of an earlier test may still be running
while '"busy"' in report:
    time.sleep(0.2)
    output = io.StringIO()
    call_command("refresh_airtable_cache", "--force", "--json", stdout=output)
    report = output.getvalue()
print(report, end="")
"""


@pytest.fixture
def healthy(shared: Site) -> Site:
    """The shared site, healthy, for a test that may change that."""
    shared.airtable.faults.clear()
    shared.airtable.latency = 0.0
    rename_john(shared, "John Doe")
    report = shared.python(RECOVERY)
    assert json.loads(report.splitlines()[-1])["status"] in ("published", "unchanged")
    shared.is_healthy = False
    return shared


@pytest.fixture
def unchanged(shared: Site, request: pytest.FixtureRequest) -> Site:
    """The shared site, healthy, for a test that changes nothing."""
    if not shared.is_healthy:
        request.getfixturevalue("healthy")
        shared.is_healthy = True
    return shared


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A site for this test alone, whose parts may be killed."""
    require_browser()
    with site(tmp_path, linked_base()) as started:
        yield started


def rename_john(at: Site, name: str) -> None:
    rows = at.airtable.base().table("dynamic_variables")
    names = ("John Doe", "All wrong")
    row = next(each for each in rows.records if rows.values(each).get("customer_name") in names)
    rows.update(row, {"customer_name": name})


def take_screenshot(visitor: Visitor, name: str) -> None:
    """Of every state, with SIFTLY_SCREENSHOTS=<folder>."""
    if SCREENSHOTS:
        visitor.page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True)


def verdict(visitor: Visitor) -> str:
    return visitor.page.locator("#part-verdict").inner_text()


def test_a_healthy_cache_is_well(browser: Browser, healthy: Site) -> None:
    for _ in range(5):
        assert healthy.server.call(NUMBER).headers["X-Siftly-Source"] == "memory"
    with visiting(browser, healthy) as visitor:
        visitor.shows("All is well")
        visitor.shows("All 26 numbers are cached; last refreshed")
        expect(visitor.page.locator("#part-calls .headline")).to_contain_text(
            re.compile(r"[5-9]|\d\d"), timeout=25_000
        )
        take_screenshot(visitor, "healthy")
        visitor.assert_no_faults()


def test_the_page_updates_without_a_reload(browser: Browser, healthy: Site) -> None:
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        page.evaluate("window.sameDocument = true")
        page.focus("#refresh-now")
        runs = page.locator("#part-runs tbody tr").count()
        healthy.refresh("--full")
        expect(page.locator("#part-runs tbody tr")).to_have_count(min(12, runs + 1), timeout=15_000)
        expect(page.locator("#refresh-now")).to_be_focused(
            timeout=15_000
        )  # it is gone during the run
        assert page.evaluate("window.sameDocument")
        visitor.assert_no_faults()


def test_a_slow_click_is_not_lost_when_its_part_is_replaced(
    browser: Browser, healthy: Site
) -> None:
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        page.locator("#part-runs tbody a").first.hover()
        page.mouse.down()
        other = page.locator("#part-airtable[data-shown]")  # it was replaced
        other.wait_for(state="attached", timeout=15_000)
        page.mouse.up()
        page.wait_for_url("**/admin/cache/runs/**")


def test_a_refresh_shows_its_progress_and_outlives_the_web_process(
    browser: Browser, own_site: Site
) -> None:
    own_site.airtable.latency = 1.5
    with visiting(browser, own_site) as visitor:
        page = visitor.page
        page.click("#refresh-now")
        visitor.shows("A refresh was started")
        visitor.shows("ada is refreshing")
        expect(page.locator(".progress")).to_contain_text("Reading twilio_number")
        own_site.airtable.latency = 4.0  # long enough to ask another worker
        assert page.locator("#refresh-now").count() == 0
        take_screenshot(visitor, "refreshing")
        visitor.assert_no_faults()
        (worker,) = own_site.server.workers()
        os.kill(worker, 9)
    with visiting(browser, own_site) as visitor:
        visitor.shows("ada is refreshing")
        own_site.airtable.latency = 0.0
        expect(visitor.page.locator(".progress")).to_have_count(0, timeout=20_000)
        row = visitor.page.locator("#part-runs tbody tr").first
        expect(row).to_contain_text("unchanged")
        expect(row).to_contain_text("ada")


def test_a_second_click_starts_no_second_refresh(browser: Browser, own_site: Site) -> None:
    own_site.airtable.latency = 1.0
    without_updates = visiting(browser, own_site, java_script_enabled=False)  # its button stays
    with visiting(browser, own_site) as first, without_updates as second:
        first.page.click("#refresh-now")
        first.shows("ada is refreshing")
        second.page.click("#refresh-now")
        second.shows("A refresh is already running: ada started it")
        expect(first.page.locator(".progress")).to_have_count(0, timeout=20_000)
        assert first.page.locator("#part-runs tbody tr").count() == 2


def test_a_wrong_token_is_reported_with_the_next_step(browser: Browser, healthy: Site) -> None:
    healthy.variables["AIRTABLE_API_KEY"], right = (
        "not-the-token",
        healthy.variables["AIRTABLE_API_KEY"],
    )
    try:
        assert healthy.refresh()["status"] == "failed"
    finally:
        healthy.variables["AIRTABLE_API_KEY"] = right
    with visiting(browser, healthy) as visitor:
        visitor.shows("Needs attention")
        assert "The last refresh failed: Airtable answered 401" in verdict(visitor)
        assert "Check AIRTABLE_API_KEY" in verdict(visitor)
        assert "The cache still serves the 26 numbers of the last snapshot." in verdict(visitor)
        take_screenshot(visitor, "wrong-token")
        visitor.assert_no_faults()


def test_a_missing_field_is_reported_with_the_next_step(browser: Browser, healthy: Site) -> None:
    table = healthy.airtable.base().table("language_agent_names")
    table.rename_field("key_pair", "pair")
    try:
        assert healthy.refresh("--full")["status"] == "refused"
    finally:
        table.rename_field("pair", "key_pair")
    with visiting(browser, healthy) as visitor:
        visitor.shows("Needs attention")
        assert "language_agent_names has no field key_pair" in verdict(visitor)
        assert "Restore the name of the field or table" in verdict(visitor)
        take_screenshot(visitor, "missing-field")
        visitor.assert_no_faults()


def test_an_exceeded_quota_is_reported_with_the_next_step(browser: Browser, healthy: Site) -> None:
    fault = Fault(status=429, error="PUBLIC_API_BILLING_LIMIT_EXCEEDED", shape="array", times=None)
    healthy.airtable.faults.add(fault)
    assert healthy.refresh("--full")["status"] == "failed"
    with visiting(browser, healthy) as visitor:
        visitor.shows("Calls are at risk")
        assert "The month's requests to Airtable are used up" in verdict(visitor)
        assert "Choose a larger plan" in verdict(visitor)
        take_screenshot(visitor, "quota")
        visitor.assert_no_faults()


SEVEN_HOURS_AGO = """
import json
from dataclasses import asdict
from datetime import timedelta

from django.db.models import F

from airtable_sync.models import Run
from airtable_sync.monitoring.export.refresh_results import LAST_RUNS_KEY
from airtable_sync.monitoring.export.totals import read_totals
from airtable_sync.services import services

Run.objects.update(
    started_at=F("started_at") - timedelta(hours=7), ended_at=F("ended_at") - timedelta(hours=7)
)
store = services().command_store
for status, run in read_totals(store).last_runs.items():
    earlier = json.dumps({**asdict(run), "ended_at": run.ended_at - 7 * 3600})
    script = 'return redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])'
    store.run_script(script, [LAST_RUNS_KEY], [status, earlier])
"""


def test_a_missing_cron_run_is_reported(browser: Browser, healthy: Site) -> None:
    """Neither the database nor Redis, which has the runs of other machines, has a recent one."""
    healthy.python(SEVEN_HOURS_AGO)
    with visiting(browser, healthy) as visitor:
        visitor.shows("The cron job has not run: the last refresh ended 7 hours ago.")
        take_screenshot(visitor, "cron")
        visitor.assert_no_faults()


def test_with_redis_down_the_page_opens_in_time_and_reports_it(
    browser: Browser, own_site: Site
) -> None:
    with visiting(browser, own_site) as visitor:
        port = own_site.valkey.port
        own_site.valkey.terminate()
        started = time.monotonic()
        visitor.page.goto(own_site.url)
        assert time.monotonic() - started < 2
        assert "Redis does not answer: calls are answered from memory" in verdict(visitor)
        assert own_site.server.call(NUMBER).json()["call_inbound"]["dynamic_variables"] == JOHN
        take_screenshot(visitor, "redis-down")
        visitor.assert_no_faults()
        visitor.page.goto(f"{own_site.url}number/?q=0460234291")
        visitor.shows("this process's memory")
        own_site.airtable.stop()
        for place in range(4):  # calls that need a lookup open the circuit breaker
            own_site.server.call(f"+3246099000{place}")
        started = time.monotonic()
        visitor.page.goto(own_site.url)
        assert time.monotonic() - started < 2
        assert "Redis and Airtable do not answer" in verdict(visitor)
        assert "Calls are at risk" in verdict(visitor)
        take_screenshot(visitor, "both-down")
        visitor.assert_no_faults()
        revived = start_valkey(port)
        part = visitor.page.locator("#part-verdict")
        expect(part).not_to_contain_text("Redis and Airtable do not answer", timeout=20_000)
        revived.terminate()


def test_with_airtable_down_the_page_opens_in_time_and_reports_it(
    browser: Browser, own_site: Site
) -> None:
    own_site.airtable.stop()
    for place in range(4):
        own_site.server.call(f"+3246099000{place}")
    with visiting(browser, own_site) as visitor:
        started = time.monotonic()
        visitor.page.goto(own_site.url)
        assert time.monotonic() - started < 2
        visitor.shows("Airtable does not answer: known numbers are served from the cache")
        take_screenshot(visitor, "airtable-down")
        visitor.assert_no_faults()


def test_an_unknown_number_is_shown_with_the_closest_known_one(
    browser: Browser, healthy: Site
) -> None:
    for _ in range(4):
        healthy.server.call(TYPO)
    with visiting(browser, healthy) as visitor:
        visitor.shows(f"{TYPO} was called 4 times and is unknown.", seconds=25)
        row = visitor.page.locator("#part-unknown tbody tr", has_text=TYPO)
        expect(row.locator("td").last).to_have_text(NUMBER)
        take_screenshot(visitor, "unknown")
        visitor.assert_no_faults()


def test_a_number_is_looked_up_read_again_and_dropped(browser: Browser, healthy: Site) -> None:
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        page.fill("#search-q", "0460 23 42 91")
        page.get_by_role("button", name="Look up").click()
        for text in ("John Doe", "Redis; read by a refresh", '"customer_known": true'):
            visitor.shows(text)
        link = page.locator("a", has_text="client/rec").get_attribute("href")
        assert link
        assert re.fullmatch(r"https://airtable\.com/app\w+/tbl\w+/rec\w+", link)
        take_screenshot(visitor, "number")
        visitor.assert_no_faults()
        rename_john(healthy, "All wrong")
        page.click("#reread")
        visitor.shows("it has changed")
        visitor.shows("All wrong")
        page.click("#drop")
        visitor.shows(f"Drop {NUMBER} from the cache?")
        visitor.assert_no_faults()
        page.click("#confirm")
        visitor.shows("Redis has no entry for it: the next call needs a lookup in Airtable.")
        assert healthy.server.call(NUMBER).headers["X-Siftly-Source"] == "airtable"
        visitor.assert_no_faults()


def test_an_override_is_served_until_it_is_ended(browser: Browser, healthy: Site) -> None:
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        page.goto(f"{healthy.url}number/?q=0460234291")
        page.click("#override-details summary")
        page.get_by_label("account_type").fill("overridden")
        page.get_by_label("Reason").fill("The CRM is being cleaned up")
        visitor.assert_no_faults()
        page.click("#override")
        visitor.shows("has an override until")
        expected = {**JOHN, "account_type": "overridden"}
        assert _variables(healthy) == expected
        assert healthy.refresh("--full")["changed"] == 0
        assert _variables(healthy) == expected
        take_screenshot(visitor, "number-with-override")
        page.goto(healthy.url)
        visitor.shows("1 override is active")
        visitor.shows("The CRM is being cleaned up")
        take_screenshot(visitor, "override")
        visitor.assert_no_faults()
        page.goto(f"{healthy.url}number/?q=0460234291")
        page.click("#end-override")
        visitor.shows("The override was ended")
        _wait_until(lambda: _variables(healthy) == JOHN)


def test_a_rollback_pauses_publishing_until_it_is_released(browser: Browser, healthy: Site) -> None:
    rename_john(healthy, "All wrong")
    healthy.refresh("--full")
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        page.locator("#snapshots a").nth(1).click()
        take_screenshot(visitor, "run")
        visitor.assert_no_faults()
        page.click("#roll-back")
        visitor.shows(
            "Publishing is paused then: refreshes and edits in Airtable change nothing until"
        )
        take_screenshot(visitor, "confirm")
        visitor.assert_no_faults()
        page.click("#confirm")
        visitor.shows("A rollback has paused publishing")
        expect(page.locator("#part-runs tbody tr").first).to_contain_text("rolled-back")
        _wait_until(lambda: _variables(healthy)["customer_name"] == "John Doe")
        take_screenshot(visitor, "rolled-back")
        visitor.assert_no_faults()
        page.click("#release")
        visitor.shows("Released.")
        _wait_until(lambda: _variables(healthy)["customer_name"] == "All wrong")


def test_a_run_shows_its_differences(browser: Browser, healthy: Site) -> None:
    rename_john(healthy, "All wrong")
    numbers = healthy.airtable.base().table("twilio_number")
    client = record_id(healthy.airtable, "client", "name", "John Doe")
    double = numbers.create({"twilio_number": "0460 23 42 91", "client": [client]})
    lost = numbers.create({"twilio_number": "+32 460 11 12 13"})
    try:
        assert healthy.refresh("--full")["status"] == "published"
    finally:
        numbers.delete(double.id)
        numbers.delete(lost.id)
    with visiting(browser, healthy) as visitor:
        visitor.page.locator("#part-runs tbody a").first.click()
        for text in ("customer_name", "John Doe", "All wrong", "Conflicts", "Invalid records"):
            visitor.shows(text)
        assert visitor.page.locator(f'a[href$="{double.id}"]').count() == 1
        take_screenshot(visitor, "differences")
        visitor.assert_no_faults()


def test_a_viewer_sees_no_buttons(browser: Browser, unchanged: Site) -> None:
    with visiting(browser, unchanged, user="vera") as visitor:
        visitor.shows("All is well")
        for path in ("", "number/?q=0460234291", "answers/", "runs/1/"):
            visitor.page.goto(f"{unchanged.url}{path}")
            names = visitor.page.locator("#content button").all_inner_texts()
            assert set(names) <= {"Look up", "Search"}
            assert visitor.page.locator("#roll-back, #drop, #override").count() == 0
            visitor.assert_no_faults()


def test_a_user_without_view_run_sees_nothing(browser: Browser, unchanged: Site) -> None:
    with visiting(browser, unchanged, user="nobody") as visitor:
        visitor.page.goto(unchanged.url)
        visitor.shows("403")
        assert visitor.page.locator("#part-verdict").count() == 0


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("path", ["", "number/?q=0460234291", "answers/", "runs/1/"])
def test_the_pages_work_on_a_phone(
    browser: Browser, unchanged: Site, path: str, width: int
) -> None:
    viewport = {"width": width, "height": 844}
    with visiting(browser, unchanged, viewport=viewport, has_touch=True) as visitor:
        visitor.page.goto(f"{unchanged.url}{path}")
        take_screenshot(visitor, f"phone-{path.partition('/')[0] or 'status'}")
        visitor.assert_no_faults()


@pytest.mark.parametrize("path", ["", "number/?q=0460234291", "answers/", "runs/1/"])
def test_the_pages_work_in_dark_mode(browser: Browser, unchanged: Site, path: str) -> None:
    with visiting(browser, unchanged, color_scheme="dark") as visitor:
        visitor.page.goto(f"{unchanged.url}{path}")
        background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(18, 18, 18)"
        take_screenshot(visitor, f"dark-{path.partition('/')[0] or 'status'}")
        visitor.assert_no_faults()


def test_the_page_works_without_javascript(browser: Browser, healthy: Site) -> None:
    with visiting(browser, healthy, java_script_enabled=False) as visitor:
        visitor.page.click("#refresh-now")
        visitor.shows("A refresh was started")
        visitor.page.get_by_role("link", name="Reload").click()
        visitor.shows("Cache status")

        def has_ended() -> bool:
            visitor.page.reload()
            newest = visitor.page.locator("#part-runs tbody tr").first.inner_text()
            return "ada" in newest and "running" not in newest

        _wait_until(has_ended)  # or the next test would meet this refresh


def test_djangos_admin_works_under_the_policy(browser: Browser, unchanged: Site) -> None:
    with visiting(browser, unchanged) as visitor:
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
            visitor.page.goto(f"{unchanged.server.url}/admin/{path}")
        assert visitor.errors == []


def _variables(at: Site) -> dict[str, str]:
    variables: dict[str, str] = at.server.call(NUMBER).json()["call_inbound"]["dynamic_variables"]
    return variables


def _wait_until(is_done: Callable[[], bool], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < until
        time.sleep(0.1)
