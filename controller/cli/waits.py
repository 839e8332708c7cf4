"""Words for what a run waits for, since when, who can end the wait, and why a run stopped itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from controller.cli.output import counted, out, styled, when
from controller.models.enums import RunState


def state_of(run: Mapping[str, Any]) -> str:
    """The state of a run for people: ``waits`` where none of its open jobs may proceed by itself."""
    waits = run.get("waits_for", ())
    if not waits or run["state"] not in (RunState.QUEUED, RunState.RUNNING):
        return str(run["state"])
    # A wait without stations applies to all of them.
    idle = not all(wait["stations"] for wait in waits) or sum(wait["stations"] for wait in waits) >= _pending(run)
    return "waits" if idle else str(run["state"])


def _pending(run: Mapping[str, Any]) -> int:
    return int(run["counts"].get("pending", 0))


def _where(wait: Mapping[str, Any]) -> str:
    return f" on {counted(wait['stations'], 'device')}" if wait["stations"] else ""


def wait_words(wait: Mapping[str, Any]) -> str:
    """One wait in a line."""
    who = f" ({wait['who']})" if wait["who"] else ""
    return f"{wait['what']}{_where(wait)}, since {when(wait['since'])}{who}"


def wait_cells(run: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a run waits for, since when, and who can end the wait, for a row of a list."""
    waits = run.get("waits_for", ())
    what = "; ".join(f"{wait['what']}{_where(wait)}" for wait in waits)
    since = when(min(wait["since"] for wait in waits)) if waits else ""
    return what, since, "; ".join(dict.fromkeys(wait["who"] for wait in waits if wait["who"]))


def show_waits(run: Mapping[str, Any], shown: Collection[str] = ()) -> set[str]:
    """Print the waits of a run that were not printed before, and which of those are over; returns all its waits."""
    found = {wait["what"]: wait for wait in run.get("waits_for", ())}
    over = () if RunState(run["state"]).terminal else sorted({*shown} - found.keys())
    for what in over:
        out.print(styled("over", "green"), f"{what}{'' if found else ': it is at work'}")
    for what, wait in found.items():
        if what not in shown:
            out.print(styled("waits", "yellow"), wait_words(wait))
    return set(found)


def show_why_stopped(run: Mapping[str, Any]) -> None:
    """Print why a run begins nothing more; a tenant is not told, since that follows from stations of others."""
    if run.get("halted"):
        out.print(styled("stopped:", "yellow"), run["halted"])
