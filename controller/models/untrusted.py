"""Text from outside as people and terminals may get it."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""A text on one line, in which nothing acts on a terminal: what is not printable shows as an escape (``\x1b``).

    That are control characters, line breaks, and signs that turn the direction of writing or have no width.
    Stations, alarm sources, tenants and files have their words in what is printed and logged.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
