"""The documentation site: `make docs` builds it into docs/_build.
https://www.sphinx-doc.org/en/master/usage/configuration.html"""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads(
    (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]

project = "Siftly"
author = "The Siftly developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx' name
release = _PROJECT["version"]
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Siftly {release}"
html_favicon = "../airtable_sync/static/airtable_sync/icon.svg"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
smartquotes = False  # it would change `--option`
# `make docs-links` asks other sites. These are examples, or need a login.
linkcheck_ignore = [
    r"https?://(localhost|127\.0\.0\.1|[\w.-]*example\.com)",
    r"https://airtable\.com/.*",
]
