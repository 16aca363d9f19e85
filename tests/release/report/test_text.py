from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from gateway.release.report.text import safe


@given(st.text())
def test_any_text_is_safe_in_elements_and_attributes(text: str) -> None:
    element = ElementTree.fromstring(f'<a b="{safe(text)}">{safe(text)}</a>')
    assert len(element) == 0
    assert len(element.attrib) == 1


def test_what_cannot_be_written_is_replaced() -> None:
    assert safe("a\x00b\ud800c").encode() == "a\ufffdb\ufffdc".encode()
