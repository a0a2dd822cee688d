"""The pages that are made from the code are current, and name every setting and address."""

import re

from siftly.setting_descriptions import GROUPS
from tests.support.modules import module_of
from tests.support.servers.server import ROOT

NAMES = [setting.name for settings in GROUPS.values() for setting in settings]


def test_the_pages_are_current() -> None:
    """If not: `make reference`."""
    for path, text in module_of(ROOT / "docs/make_reference.py").pages().items():
        assert path.read_text(encoding="utf-8") == text, path


def test_each_variable_that_the_settings_read_is_described_once() -> None:
    source = (ROOT / "siftly/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'(?:env\.\w+|comma_separated)\(\s*"([A-Z_]+)"', source))
    assert len(NAMES) == len(set(NAMES))
    assert set(NAMES) == {name for name in read if not name.startswith("RENDER_")}


def test_a_description_is_one_row_of_a_table() -> None:
    for settings in GROUPS.values():
        for setting in settings:
            assert setting.meaning
            assert not set("|\n") & set(setting.meaning + setting.default + setting.example)


def test_the_page_of_http_has_every_address() -> None:
    page = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
    source = (ROOT / "siftly/application.py").read_text(encoding="utf-8")
    source += (ROOT / "siftly/health.py").read_text(encoding="utf-8")
    paths = set(re.findall(r'"(/[a-z]+)"', source))
    assert paths == {"/healthz", "/readyz", "/metrics"}
    assert all(f"GET {path}`" in page for path in paths)
