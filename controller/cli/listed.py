"""Items of a list of the API, with what a limit leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Listed(list[Any]):
    """Items of a list of the API.

    Attributes:
        more: How many more there are: those that the limit of the command leaves out.
    """

    def __init__(self, items: Iterable[Any] = (), more: int = 0) -> None:
        super().__init__(items)
        self.more = more

    def add(self, page: Mapping[str, Any]) -> None:
        """Add a page of the API; the last one says what is left out."""
        self += page["results"]
        self.more = 0 if page["next"] is None else page["count"] - len(self)

    @property
    def left_out(self) -> str:
        """What is left out and the option that shows it, in words; empty if nothing is."""
        return f"and {self.more} more: --limit {len(self) + self.more}" if self.more > 0 else ""
