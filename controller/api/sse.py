"""Server-sent events (WHATWG HTML §9.2)."""

from __future__ import annotations

from pydantic import BaseModel


def event(name: str, data: BaseModel) -> str:
    """One event; the JSON has no line breaks, so one data line is enough."""
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"


def keep_alive() -> str:
    """A comment that keeps proxies from closing a silent stream."""
    return ": still here\n\n"
