"""The docs as pages of the admin: alerts and the status page link to the section that explains a
problem, in the version that is deployed."""

import posixpath
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET

from airtable_sync.status.permissions import page_context, requires_permission

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

FOR_DEVELOPERS = "contribute"  # a folder of pages that are made of other files of the repository


@require_GET
@requires_permission()
def help_page(request: HttpRequest, name: str) -> HttpResponse:
    """`name` is a page below docs/, without `.md`."""
    file = _pages().get(name)
    if file is None:
        raise Http404
    title, content = rendered(file.read_text(encoding="utf-8"), name)
    context = {**page_context(request, title), "content": content}
    return render(request, "admin/cache/help.html", context)


def rendered(text: str, name: str) -> tuple[str, SafeString]:
    """The title, and the rest as HTML. Headings have the ids that links use."""
    markdown = _markdown()
    tokens = markdown.parse(text)
    title = ""
    for heading, content in pairwise(tokens):
        if heading.type == "heading_open":
            title = title or content.content
            heading.attrSet("id", section_id(content.content))
    tokens = [each for each in tokens if not _is_of_sphinx(each)]
    for token in tokens:
        if token.type == "table_open":
            token.attrSet("tabindex", "0")  # a wide one scrolls on a phone
        _adapt(token.children or [], name)
    first = next((place for place, each in enumerate(tokens) if each.type == "heading_close"), -1)
    html = markdown.renderer.render(tokens[first + 1 :], markdown.options, {})
    return title, mark_safe(html)  # noqa: S308 - our own files, and HTML in them is escaped


def section_of(name: str, heading: str, service: str) -> SafeString:
    """The section of a page as HTML, "" if there is none. `service` is this service's origin, which
    the docs write as `https://<siftly>`."""
    file = _pages().get(name)
    text = file.read_text(encoding="utf-8") if file else ""
    parts = re.split(r"^##+ (.*)\n", text, flags=re.MULTILINE)
    content = next((text for title, text in pairwise(parts[1:]) if title == heading), "")
    markdown = _markdown()
    tokens = markdown.parse(content.replace("https://<siftly>", service))
    for token in tokens:
        _adapt(token.children or [], name)
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    return mark_safe(html)  # noqa: S308 - our own files, and HTML in them is escaped


def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415 - few processes show a help page

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _is_of_sphinx(token: "Token") -> bool:
    """The lists of pages and the pictures, which only the site of the docs has."""
    return token.type == "fence" and token.info.startswith("{")


def section_id(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


def _pages() -> dict[str, Path]:
    folder = Path(settings.BASE_DIR, "docs")
    return {
        each.relative_to(folder).with_suffix("").as_posix(): each
        for each in folder.rglob("*.md")
        if each.parent.name != FOR_DEVELOPERS
    }


def _adapt(tokens: "list[Token]", name: str) -> None:
    """Links lead to help pages. An image becomes its description: the pages have no images."""
    for token in tokens:
        if token.type == "link_open":
            token.attrSet("href", _address(str(token.attrGet("href") or ""), name))
        elif token.type == "image":
            token.type, token.tag, token.children = "text", "", None


def _address(target: str, name: str) -> str:
    page, _, section = target.partition("#")
    if not page or "://" in target or page.startswith("mailto:"):
        return target
    other = posixpath.normpath(posixpath.join(posixpath.dirname(name), page)).removesuffix(".md")
    if other not in _pages():
        return ""  # a file of the repository, which has no page
    path = reverse("cache:help", args=[other])
    return f"{path}#{section}" if section else path
