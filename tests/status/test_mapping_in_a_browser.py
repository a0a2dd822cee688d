"""From an empty deployment to a served call, with clicks only: the mapping's pages in Chromium, on
gunicorn, with a real Valkey and a Dutch base whose tables have other names."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from sandbox.airtable.data.bases import Base
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.stable_schema import make_field, make_link, make_table
from tests.support.browser import PASSWORD, Site, Visitor, require_browser, site, visiting
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser-mapping")]

NUMBER = "+3225551234"
LINES = {"02 555 12 34": "Bakkerij Janssens", "02 555 12 35": "Garage Peeters"}
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
FIELDS = ("Naam", "Begroeting", "Notities", "Pincode")


def dutch_base() -> Base:
    clients = make_table("Klanten", [make_field("Klanten", name) for name in FIELDS])
    lines = make_table(
        "Telefoonlijnen",
        [
            make_field("Telefoonlijnen", "Omschrijving"),
            make_field("Telefoonlijnen", "Nummer", "phoneNumber"),
            make_link("Telefoonlijnen", "Klant", "Klanten"),
        ],
    )
    base = Base("appDutchBase00001", "Klantenbestand", [lines, clients])
    for number, name in LINES.items():
        values = (name, f"Dag, {name}", "klaagt veel", "1234")
        client = clients.create(dict(zip(FIELDS, values, strict=True)))
        lines.create({"Omschrijving": f"Lijn van {name}", "Nummer": number, "Klant": [client.id]})
    return base


@pytest.fixture(scope="module")
def dutch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require_browser()
    with site(tmp_path_factory.mktemp("dutch"), dutch_base()) as started:
        yield started


def variables(at: Site) -> dict[str, Any]:
    answer: dict[str, Any] = at.server.call(NUMBER).json()["call_inbound"]["dynamic_variables"]
    return answer


def write(page: Page, text: str) -> None:
    page.locator("#text").fill(text)


def tick(page: Page, field: str) -> Locator:
    return page.locator("label", has_text=field).get_by_role("checkbox")


def preview(visitor: Visitor) -> None:
    visitor.page.click("#preview-button")
    visitor.page.locator("#publish").wait_for()


def look(visitor: Visitor) -> None:
    """On a desktop and on a phone."""
    for viewport in (PHONE, DESKTOP):
        visitor.page.set_viewport_size(viewport)
        visitor.assert_no_faults()


def test_from_an_empty_deployment_to_a_served_call(browser: Browser, dutch: Site) -> None:
    assert dutch.server.call(NUMBER).headers["X-Siftly-Source"] == "default"
    with visiting(browser, dutch, viewport=DESKTOP) as visitor:
        page = visitor.page
        first_steps(page)
        look(visitor)
        visitor.follow(page.locator("#first-run").get_by_role("link", name="Open the page").first)
        expect(page.locator("#problems")).to_contain_text("there is no table twilio_number")
        look(visitor)
        visitor.follow("#propose")
        page.click("#read-base")
        expect(page.locator(".toml")).to_contain_text("Telefoonlijnen")
        assert not tick(page, "Pincode").is_checked()  # may be private
        tick(page, "Notities").uncheck()
        visitor.shows("may be of several countries")
        page.fill("#region", "BE")
        page.fill("#locale", "nl-BE")
        page.fill("#time_zone", "Europe/Brussels")
        page.click("#propose-again")
        expect(page.locator(".toml")).to_contain_text('locale = "nl-BE"')
        look(visitor)
        visitor.follow("#use-proposal")
        look(visitor)
        preview(visitor)
        expect(page.locator("#counts")).to_contain_text("2 numbers: 2 added")
        look(visitor)
        page.click("#publish")
        page.wait_for_url("**/cache/mapping/")
        visitor.shows("Version 1, saved in the database")
        visitor.shows("It fits the base as it is now.")
        look(visitor)
    wait_until(lambda: "begroeting" in variables(dutch))
    found = variables(dutch)
    assert found["begroeting"] == "Dag, Bakkerij Janssens"
    assert not {"notities", "pincode"} & found.keys()
    assert dutch.server.call(NUMBER).headers["X-Siftly-Source"] == "memory"
    assert log_messages(dutch) == ["Published a new version.", "Started a preview."]
    a_test_call_and_the_end_of_the_checklist(browser, dutch)
    two_people_edit_at_once(browser, dutch)
    what_can_go_wrong(browser, dutch)
    a_viewer_can_not_change_it(browser, dutch)


def first_steps(page: Page) -> None:
    """Before anything is set up. What Airtable says comes a moment later."""
    steps = page.locator("#first-run")
    expect(steps).to_contain_text("It does not: there is no table twilio_number")
    expect(steps).to_contain_text("token, scopes, base: done")
    expect(steps).to_contain_text("The platform has Siftly's address: to do")
    steps.get_by_text("Where to enter it: retell").click()
    expect(steps).to_contain_text("Dashboard → Phone Numbers → the number → Inbound Webhook URL")
    expect(steps.locator("li details[open] code").first).to_contain_text("/webhooks/retell/")
    copy = steps.get_by_role("button", name="Copy the address for retell")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{page.url.partition('/admin')[0]}/webhooks/retell/"


def a_test_call_and_the_end_of_the_checklist(browser: Browser, at: Site) -> None:
    with visiting(browser, at, viewport=DESKTOP) as visitor:
        page = visitor.page
        visitor.follow("#test-call")
        page.fill("#q", "02 555 12 34")
        page.click("#send")
        expect(page.locator("#answer-title")).to_contain_text("200 in")
        expect(page.get_by_label("Answer")).to_contain_text("Dag, Bakkerij Janssens")
        look(visitor)
        page.goto(at.url)
        checklist = page.locator("#part-verdict + #first-run")  # the verdict comes first
        expect(checklist).to_contain_text("The mapping fits the base: done")
        visitor.follow("#dismiss")
        expect(page.locator("#live")).to_be_visible()
        assert page.locator("#first-run").count() == 0


def two_people_edit_at_once(browser: Browser, at: Site) -> None:
    """The second is told, and nothing is overwritten."""
    at.console.run(OLGA)
    with (
        visiting(browser, at, viewport=DESKTOP) as ada,
        visiting(browser, at, user="olga", viewport=DESKTOP) as olga,
    ):
        for each in (ada, olga):
            each.page.goto(f"{at.url}mapping/edit/")
        text = ada.page.input_value("#text")
        write(ada.page, text.replace('table = "Klanten"', 'table = "Klanten"\nprefix = "klant_"'))
        ada.page.fill("#note", "Een voorvoegsel")
        preview(ada)
        expect(ada.page.locator("#counts")).to_contain_text("2 changed")
        write(olga.page, f"{text}# van Olga\n")
        olga.page.click("#preview-button")
        olga.page.locator("#publish").wait_for()
        ada.page.click("#publish")
        ada.page.wait_for_url("**/cache/mapping/")
        olga.page.click("#publish")
        olga.shows("ada saved version 2 at")
        assert olga.page.locator("#publish").count() == 0
        look(olga)
        assert "# van Olga" in olga.page.input_value("#text")
        olga.page.click("#continue")
        olga.page.locator("#publish").wait_for()
        olga.follow("#discard")
        olga.follow(olga.page.get_by_role("link", name="Version 2"))
        olga.shows("What changed since version 1")
        look(olga)
    wait_until(lambda: variables(at).get("klant_begroeting") == "Dag, Bakkerij Janssens")


def what_can_go_wrong(browser: Browser, at: Site) -> None:
    with visiting(browser, at, viewport=DESKTOP) as visitor:
        page = visitor.page
        page.goto(f"{at.url}mapping/edit/")
        text = page.input_value("#text")
        mistakes = page.locator("#mistakes")
        write(page, text.replace("number_field", "numer_field"))
        expect(mistakes).to_contain_text("did you mean number_field?")
        line = text[: text.index("number_field")].count("\n") + 1
        expect(mistakes.get_by_role("button", name=f"Line {line}:").first).to_be_visible()
        look(visitor)
        write(page, f"{text}# {'x' * 1_000_000}\n")
        expect(mistakes).to_contain_text("The text is too large to be edited here")
        page.click("#preview-button")
        expect(page.locator("#preview")).to_have_count(0)
        # A mapping that takes all numbers away: publishing it needs a second thought.
        write(page, text.replace('"Nummer"', '"Omschrijving"'))
        preview(visitor)
        expect(page.locator("#rejection")).to_contain_text("no number in Airtable has a config")
        expect(page.locator("#publish")).to_have_text("Publish anyway")
        look(visitor)
        visitor.follow("#discard")
        # Airtable does not accept the request. (An outage is tried again, for half a minute.)
        at.airtable.faults.add(Fault(status=401, times=None))
        page.goto(f"{at.url}mapping/edit/")
        page.click("#preview-button")
        expect(page.locator("#preview .error-text")).to_contain_text("401")
        at.airtable.faults.clear()
    assert variables(at)["klant_begroeting"] == "Dag, Bakkerij Janssens"


def a_viewer_can_not_change_it(browser: Browser, at: Site) -> None:
    with visiting(browser, at, user="vera") as visitor:
        visitor.page.goto(f"{at.url}mapping/")
        visitor.shows("Version 2, saved in the database")
        assert visitor.page.locator("#edit, #propose").count() == 0
        status = visitor.page.goto(f"{at.url}mapping/edit/")
        assert status
        assert status.status == 403


OLGA = f"""
from django.contrib.auth.models import Permission, User
olga = User.objects.create_user("olga", password={PASSWORD!r}, is_staff=True)
names = ("view_run", "can_change_mapping")
olga.user_permissions.set(Permission.objects.filter(codename__in=names))
"""


def log_messages(at: Site) -> list[str]:
    """Of the admin's log, the newest first."""
    code = (
        "from django.contrib.admin.models import LogEntry\n"
        "print(*LogEntry.objects.values_list('change_message', flat=True), sep='\\n')"
    )
    return at.console.run(code).splitlines()
