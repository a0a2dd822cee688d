"""TOML as HTML: one element for each line, and for each kind of word."""

import re
from collections.abc import Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_TOKEN = re.compile(
    r"""(?P<comment>\#.*$)
    |(?P<text>"(?:[^"\\]|\\.)*"|'[^']*')
    |(?P<section>^\s*\[\[?[^"'\#]*(?=["'\]])|\]\]?\s*$)
    |(?P<key>[A-Za-z0-9_-]+(?=\s*=))
    |(?P<value>\b(?:true|false|[0-9][0-9_.:+-]*)\b)""",
    re.VERBOSE,
)


def highlighted(toml: str) -> list[SafeString]:
    return [_line(each) for each in toml.splitlines()]


def _line(line: str) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in _parts(line)))


def _parts(line: str) -> Iterator[str]:
    end = 0
    for found in _TOKEN.finditer(line):
        yield line[end : found.start()]
        yield format_html('<span class="{}">{}</span>', f"toml-{found.lastgroup}", found[0])
        end = found.end()
    yield line[end:]
