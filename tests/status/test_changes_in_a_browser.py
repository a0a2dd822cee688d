"""What users and faults change on the status page, in Chromium, on gunicorn, with a real Valkey and
the Airtable sandbox. Before each test the site is made healthy again."""

import contextlib
import json
import os
import re

import pytest
from playwright.sync_api import Browser, expect

from sandbox.airtable.faults.fault import Fault
from tests.conftest import record_id
from tests.support.browser import Site, visiting
from tests.support.cast import JOHN, NUMBER
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser-changes")]

TYPO = "+32460234219"  # John's number with two digits swapped


def test_the_page_updates_without_a_reload(browser: Browser, healthy: Site) -> None:
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        page.evaluate("window.sameDocument = true")
        page.focus("#refresh-now")
        newest = page.locator("#part-runs tbody a").first
        before = newest.get_attribute("href")
        assert before
        healthy.refresh("--full")
        expect(newest).not_to_have_attribute("href", before)
        button = page.locator("#refresh-now")  # it is gone during the run
        expect(button).to_be_focused()
        assert page.evaluate("window.sameDocument")
        visitor.assert_no_faults()


def test_a_refresh_shows_its_progress_and_outlives_the_web_process(
    browser: Browser, healthy: Site
) -> None:
    (worker,) = healthy.server.workers()
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(_forget_process, healthy, worker)
        may_answer = cleanup.enter_context(healthy.airtable_waiting("twilio_number"))
        with visiting(browser, healthy) as visitor:
            visitor.page.click("#refresh-now")
            visitor.shows("ada is refreshing")
            progress = visitor.page.locator(".progress")
            expect(progress).to_contain_text("Reading twilio_number")
            assert visitor.page.locator("#refresh-now").count() == 0
            visitor.assert_no_faults()
            address = visitor.page.url
            os.kill(worker, 9)
        with visiting(browser, healthy) as visitor:  # on another worker
            visitor.page.goto(address)
            visitor.shows("ada is refreshing")
            may_answer.set()
            outcome = visitor.page.locator("#outcome")
            expect(outcome).to_contain_text("26 numbers: nothing changed.")
            expect(visitor.page.locator(".progress")).to_have_count(0)
            row = visitor.page.locator("#part-runs tbody tr").first
            expect(row).to_contain_text("unchanged")
            expect(row).to_contain_text("ada")


def test_a_second_click_starts_no_second_refresh(browser: Browser, healthy: Site) -> None:
    without_updates = visiting(browser, healthy, java_script_enabled=False)  # its button stays
    runs = _count_runs(healthy)
    with (
        healthy.airtable_waiting("twilio_number") as may_answer,
        visiting(browser, healthy) as first,
        without_updates as second,
    ):
        first.page.click("#refresh-now")
        first.shows("ada is refreshing")
        second.page.click("#refresh-now")
        second.shows("A refresh is already running: ada started it")
        may_answer.set()
        expect(first.page.locator(".progress")).to_have_count(0)
    assert _count_runs(healthy) == runs + 1


def _count_runs(at: Site) -> int:
    return int(at.console.run("from airtable_sync.models import Run; print(Run.objects.count())"))


def test_a_wrong_token_is_reported_with_the_next_step(browser: Browser, healthy: Site) -> None:
    assert healthy.refresh_with(AIRTABLE_API_KEY="not-the-token")["status"] == "failed"
    with visiting(browser, healthy) as visitor:
        visitor.shows("Needs attention")
        assert "The last refresh failed: Airtable answered 401" in visitor.verdict()
        assert "Check AIRTABLE_API_KEY" in visitor.verdict()
        expect(visitor.page.locator("#part-verdict .default")).to_have_text("Check the connection")
        assert "The cache still serves the 26 numbers of the last snapshot." in visitor.verdict()
        visitor.assert_no_faults()
        visitor.page.click("#check-connection")  # with the server's own, right token
        visitor.shows("Everything answers")
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
        assert "language_agent_names has no field key_pair" in visitor.verdict()
        assert "Restore the name of the field or table" in visitor.verdict()
        visitor.assert_no_faults()


def test_an_exceeded_quota_is_reported_with_the_next_step(browser: Browser, healthy: Site) -> None:
    fault = Fault(status=429, error="PUBLIC_API_BILLING_LIMIT_EXCEEDED", shape="array", times=None)
    healthy.airtable.faults.add(fault)
    assert healthy.refresh("--full")["status"] == "failed"
    with visiting(browser, healthy) as visitor:
        visitor.shows("Calls are at risk")
        assert "The month's requests to Airtable are used up" in visitor.verdict()
        assert "Choose a larger plan" in visitor.verdict()
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
    healthy.console.run(SEVEN_HOURS_AGO)
    with visiting(browser, healthy) as visitor:
        visitor.shows("The cron job has not run: the last refresh ended 7 hours ago.")
        visitor.assert_no_faults()


def test_with_redis_down_the_page_opens_and_reports_it(browser: Browser, breakable: Site) -> None:
    with visiting(browser, breakable) as visitor:
        breakable.stop_valkey()
        visitor.page.goto(breakable.url)
        assert "Redis does not answer: calls are answered from memory" in visitor.verdict()
        assert _variables(breakable) == JOHN
        visitor.assert_no_faults()
        visitor.page.goto(f"{breakable.url}number/?q=0460234291")
        visitor.shows("this process's memory")
        breakable.airtable.stop()
        _open_the_circuit_breaker(breakable)
        visitor.page.goto(breakable.url)
        assert "Redis and Airtable do not answer" in visitor.verdict()
        assert "Calls are at risk" in visitor.verdict()
        visitor.assert_no_faults()
        breakable.start_valkey()
        part = visitor.page.locator("#part-verdict")
        expect(part).not_to_contain_text("Redis and Airtable do not answer")


def test_with_airtable_down_the_page_opens_and_reports_it(
    browser: Browser, breakable: Site
) -> None:
    breakable.airtable.stop()
    _open_the_circuit_breaker(breakable)
    with visiting(browser, breakable) as visitor:
        visitor.page.goto(breakable.url)
        visitor.shows("Airtable does not answer: known numbers are served from the cache")
        visitor.assert_no_faults()


def _open_the_circuit_breaker(at: Site) -> None:
    """With calls that need a lookup."""
    for place in range(4):
        at.server.call(f"+3246099000{place}")


def test_an_unknown_number_is_shown_with_the_closest_known_one(
    browser: Browser, healthy: Site
) -> None:
    for _ in range(4):
        healthy.server.call(TYPO)
    with visiting(browser, healthy) as visitor:
        visitor.shows(f"{TYPO} was called 4 times and is unknown.")
        row = visitor.page.locator("#part-unknown tbody tr", has_text=TYPO)
        expect(row.locator("td").last).to_have_text(NUMBER)
        visitor.assert_no_faults()


def test_a_number_is_looked_up_read_again_and_dropped(browser: Browser, healthy: Site) -> None:
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        page.fill("#search-q", "0460 23 42 91")
        visitor.follow(page.get_by_role("button", name="Look up"))
        for text in ("John Doe", "Redis; read by a refresh", '"customer_known": true'):
            visitor.shows(text)
        link = page.locator("a", has_text="client/rec").get_attribute("href")
        assert link
        assert re.fullmatch(r"https://airtable\.com/app\w+/tbl\w+/rec\w+", link)
        visitor.assert_no_faults()
        healthy.rename_john("All wrong")
        page.click("#reread")
        visitor.shows("it has changed")
        visitor.shows("All wrong")
        page.click("#drop")
        visitor.shows(f"Remove {NUMBER} from the cache?")
        visitor.assert_no_faults()
        page.click("#confirm")
        visitor.shows("A call would need a lookup in Airtable now.")
        assert healthy.server.call(NUMBER).headers["X-Siftly-Source"] == "airtable"
        page.goto(f"{healthy.url}number/?q=0460999999")
        visitor.shows("A call would need a lookup in Airtable now.")
        visitor.assert_no_faults()
        page.get_by_role("button", name="Look up now").click()
        visitor.shows("Airtable does not have it. A call would get the defaults now")


def test_an_override_is_served_until_it_is_ended(browser: Browser, healthy: Site) -> None:
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        page.goto(f"{healthy.url}number/?q=0460234291")
        page.click("#override-details summary")
        page.get_by_label("account_type").fill("overridden")
        page.get_by_label("Reason").fill("The CRM is being cleaned up")
        visitor.assert_no_faults()
        page.click("#override")
        visitor.shows("Every agent gets this for 1 day")
        visitor.shows('"account_type": "overridden"')
        visitor.assert_no_faults()
        assert _variables(healthy) == JOHN
        page.click("#change-override")
        expect(page.get_by_label("account_type")).to_have_value("overridden")
        page.click("#override")
        page.click("#save-override")
        visitor.shows("has an override until")
        visitor.shows("set by hand by ada")
        expected = {**JOHN, "account_type": "overridden"}
        assert _variables(healthy) == expected
        assert healthy.refresh("--full")["changed"] == 0
        assert _variables(healthy) == expected
        page.goto(healthy.url)
        visitor.shows("1 override is active")
        visitor.shows("The CRM is being cleaned up")
        visitor.assert_no_faults()
        page.goto(f"{healthy.url}number/?q=0460234291")
        page.click("#end-override")
        visitor.shows(f"End the override of {NUMBER}?")
        page.click("#confirm")
        visitor.shows("The override was ended")
        wait_until(lambda: _variables(healthy) == JOHN)


def test_a_rollback_pauses_publishing_until_it_is_released(browser: Browser, healthy: Site) -> None:
    healthy.rename_john("All wrong")
    healthy.refresh("--full")
    with visiting(browser, healthy) as visitor:
        page = visitor.page
        visitor.follow(page.locator("#snapshots a").nth(1))
        visitor.assert_no_faults()
        visitor.follow("#roll-back")
        visitor.shows(
            "Publishing is paused then: refreshes and edits in Airtable change nothing until"
        )
        row = page.locator("#differences-title ~ * tbody tr")
        expect(row).to_have_count(1)
        expect(row).to_contain_text("All wrong → John Doe")
        visitor.assert_no_faults()
        page.click("#confirm")
        visitor.shows("; edits in Airtable are not published.")
        visitor.shows("Rolled back to run")
        expect(page.locator("#part-runs tbody tr").first).to_contain_text("rolled back")
        wait_until(lambda: _variables(healthy)["customer_name"] == "John Doe")
        visitor.assert_no_faults()
        assert page.locator("#refresh-now").count() == 0  # it would be rejected
        visitor.follow("#release")
        visitor.shows("If Airtable still has the mistake")
        with healthy.airtable_waiting("twilio_number"):
            visitor.follow("#confirm")
            assert "All is well" not in visitor.verdict()  # agents still get the old snapshot
        expect(page.locator("#outcome")).to_contain_text("1 changed")
        expect(page.locator("#part-verdict")).to_contain_text("All is well")
        assert _variables(healthy)["customer_name"] == "All wrong"
        page.goto(f"{healthy.url}release/")
        visitor.shows("there is no rollback to release")


def test_a_rejected_refresh_is_reviewed_and_published_anyway(
    browser: Browser, healthy: Site
) -> None:
    table = healthy.airtable.base().table("twilio_number")
    removed = [table.values(each) for each in list(table.records)[-15:]]
    for each in list(table.records)[-15:]:
        table.delete(each)
    try:
        with visiting(browser, healthy) as visitor:
            page = visitor.page
            page.click("#refresh-now")
            visitor.shows("The last refresh was rejected: Airtable has 11 numbers")
            expect(page.locator("#part-verdict .default")).to_have_text("Review")
            visitor.assert_no_faults()
            page.keyboard.press("Tab")
            page.focus("#review")
            page.keyboard.press("Enter")
            visitor.shows("At least 60% (REFRESH_MIN_SHARE)")
            rows = page.locator("#differences-title ~ * tbody tr")
            expect(rows).to_have_count(15)
            expect(rows.first).to_contain_text("removed")
            link = rows.first.locator("a[href*='airtable.com']").first.get_attribute("href")
            assert re.fullmatch(r"https://airtable\.com/app\w+/tbl\w+/rec\w+", link or "")
            visitor.assert_no_faults()
            page.click("#publish-anyway")
            visitor.shows("the last published set had 26")
            expect(page.locator("dl")).to_contain_text("15")
            visitor.assert_no_faults()
            page.click("#confirm")
            expect(page.locator("#outcome")).to_contain_text("15 removed")
            expect(page.locator("#part-verdict")).to_contain_text("All is well")
    finally:
        for values in removed:
            table.create(dict(values))


def test_records_to_fix_are_listed_and_counted(browser: Browser, healthy: Site) -> None:
    numbers = healthy.airtable.base().table("twilio_number")
    client = record_id(healthy.airtable, "client", "name", "John Doe")
    double = numbers.create({"twilio_number": "0460 23 42 91", "client": [client]})
    wrong = numbers.create({"twilio_number": "to be ordered", "client": [client]})
    try:
        healthy.refresh("--full")
    finally:
        numbers.delete(double.id)
        numbers.delete(wrong.id)
    with visiting(browser, healthy) as visitor:
        visitor.shows("All is well, 2 records to fix")
        card = visitor.page.locator("#part-records")
        expect(card).to_contain_text(f"Several records have the number {NUMBER}.")
        expect(card).to_contain_text("The config of the first record, which is the oldest.")
        expect(card).to_contain_text("this record is ignored")
        for record in (double, wrong):
            assert card.locator(f'a[href$="{record.id}"]').count() == 1
        visitor.assert_no_faults()


def test_an_update_does_not_move_what_one_reads(browser: Browser, healthy: Site) -> None:
    screen = {"width": 390, "height": 120}  # shows nothing else, and the parts that grow are above
    with visiting(browser, healthy, viewport=screen) as visitor:
        page = visitor.page
        page.evaluate("document.getElementById('overrides-title').scrollIntoView()")
        page.evaluate("window.scrollBy(0, -10)")
        top = "document.getElementById('overrides-title').getBoundingClientRect().top"
        before = page.evaluate(top)
        height = page.evaluate("document.documentElement.scrollHeight")
        table = healthy.airtable.base().table("language_agent_names")
        table.rename_field("key_pair", "pair")
        try:
            healthy.refresh("--full")
        finally:
            table.rename_field("pair", "key_pair")
        visitor.page.locator("#part-verdict.attention").wait_for(state="attached")
        assert page.evaluate("document.documentElement.scrollHeight") != height
        assert abs(page.evaluate(top) - before) <= 1


def test_a_run_shows_its_differences(browser: Browser, healthy: Site) -> None:
    healthy.rename_john("All wrong")
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
        visitor.follow(visitor.page.locator("#part-runs tbody a").first)
        for text in ("customer_name", "John Doe", "All wrong", "Conflicts", "Invalid records"):
            visitor.shows(text)
        conflict = visitor.page.locator(f'#conflicts-title ~ * a[href$="{double.id}"]')
        assert conflict.count() == 1
        visitor.assert_no_faults()


def test_the_page_works_without_javascript(browser: Browser, healthy: Site) -> None:
    with visiting(browser, healthy, java_script_enabled=False) as visitor:
        visitor.page.click("#refresh-now")
        # The page reloads itself, every few seconds while a refresh runs.
        expect(visitor.page.locator("#outcome")).to_contain_text("26 numbers")
        assert visitor.page.get_by_role("link", name="Reload").count() == 1


def _variables(at: Site) -> dict[str, str]:
    variables: dict[str, str] = at.server.call(NUMBER).json()["call_inbound"]["dynamic_variables"]
    return variables


def _forget_process(site: Site, process_id: int) -> None:
    """A killed process counts as live for two minutes, and as out of sync if it had just started:
    other tests would see that."""
    with site.valkey.client() as client:
        for states in client.keys("*process_states"):
            for name in client.hkeys(states):
                if json.loads(client.hget(states, name))["pid"] == process_id:
                    client.hdel(states, name)
