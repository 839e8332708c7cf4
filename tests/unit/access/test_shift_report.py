"""The report of a shift as Markdown and HTML: what people and stations wrote is text in both."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from controller.access.shift_report import ShiftColumn, html, markdown

NASTY = "<script>alert(1)</script> | `rm` [x](http://e) \x1b[31m {{ 7 * 7 }}"


def report(*rows: tuple[Any, ...], more: int = 0) -> dict[str, Any]:
    sheet = {"title": "Opened", "columns": ["incident", "what", "people"], "rows": rows, "more": more, "grouped": 0}
    sheet |= {"severities": {"CRITICAL": 2, "MAJOR": 20} if more else {}}
    empty = {"title": "Closed", "columns": ["incident"], "rows": [], "more": 0, "grouped": 0, "severities": {}}
    return {
        "network": NASTY,
        "side": "host",
        "timezone": "America/Lima",
        "local": ["2026-12-01T06:00:00-05:00", "2026-12-01T14:00:00-05:00"],
        "sheets": {"opened": sheet, "closed": empty},
    }


class Tags(HTMLParser):
    """Tags and text of a page, as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag in ("html", "meta") or not attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nothing_in_a_page_is_markup_or_an_expression() -> None:
    seen = Tags(html(report(("i-1", NASTY, 12_000))))
    assert {"script", "a", "img", "iframe", "link"}.isdisjoint(seen.tags)
    assert "<script>alert(1)</script> | `rm` [x](http://e)" in seen.text
    assert "{{ 7 * 7 }}" in seen.text
    assert "\x1b" not in seen.text
    assert "12,000" in seen.text
    assert "2026-12-01 06:00:00-05:00 to 2026-12-01 14:00:00-05:00; times are local: America/Lima" in seen.text


def test_nothing_in_markdown_is_markup() -> None:
    text = markdown(report(("i-1", NASTY, None)))
    (line,) = [one for one in text.splitlines() if one.startswith("| i-1")]
    assert line.count(" | ") == 2
    assert "<script>" not in text
    assert "\x1b" not in text


def test_parts_say_how_much_they_have_and_leave_out() -> None:
    found = report(("i-1", "x", 1), more=21)
    for text in (markdown(found), Tags(html(found)).text):
        assert "opened: 22 (2 CRITICAL, 20 MAJOR); closed: 0" in text
        assert "and 21 more" in text
        assert "none" in text


def test_a_columns_form_is_a_matter_of_its_name_and_one_of_a_newer_server_is_no_prose() -> None:
    assert [name for name in ShiftColumn if ShiftColumn.is_prose(name)] == [
        *("cause", "of", "reason", "set", "who can end it", "what", "why")
    ]
    assert not ShiftColumn.is_prose("weather")
