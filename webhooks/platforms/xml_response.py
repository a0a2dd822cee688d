"""Answers in XML."""

import re
from xml.etree import ElementTree as ET

from siftly.server.http import Response

# https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Without the control characters that XML does not have."""
    return _NOT_XML.sub("", text)


def xml_response(response: ET.Element) -> Response:
    xml = ET.tostring(response, encoding="utf-8", xml_declaration=True)
    return Response(xml, content_type=b"text/xml; charset=utf-8")
