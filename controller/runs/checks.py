"""What a transaction waits for on a device: cells on air, core links up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.models.plan import Change, WaitFor
from controller.nrm.profiles import link_up, on_air
from controller.nrm.tree import Observed, Path, is_below
from controller.ports.clock import Clock
from controller.ports.devices import DeviceSession

#: Seconds between two reads: soon at first, gently later.
_SOON, _GENTLY = 0.1, 2.0


def excused(change: Change, before: Observed) -> tuple[Path, ...]:
    """Core links that were down before and that the change does not edit: not this change's fault."""
    edited = [edit.path for phase in change.phases for edit in phase.edits]
    waits = (*change.checks, *(wait for phase in change.phases for wait in phase.wait))
    links = {wait.path for wait in waits if wait.kind == "link-up" and wait.path in before.tree}
    return tuple(
        sorted(link for link in links if not link_up(before, link) and not any(is_below(path, link) for path in edited))
    )


async def unmet(
    session: DeviceSession, conditions: Sequence[WaitFor], forgiven: Iterable[Path], clock: Clock, seconds: float
) -> tuple[str, Observed | None]:
    """Wait until all conditions hold at once.

    A station that reports no state at all can't be waited for: only its configuration is known (see ``unseen``).

    Returns:
        Those that don't hold after ``seconds`` in words, or an empty string; and what was read last, None if
        there was nothing to wait for.
    """
    excuse = frozenset(forgiven)
    wanted = [wait for wait in conditions if wait.path not in excuse]
    if not wanted:
        return "", None
    end = clock.monotonic() + seconds
    pause = _SOON
    while True:
        observed = await session.read()
        missing = [wait for wait in wanted if not _holds(wait, observed)]
        if not missing:
            return "", observed
        if clock.monotonic() >= end:
            names = ", ".join(f"{wait.kind} {wait.path}" for wait in missing)
            return f"not reached within {seconds:g} s: {names}" if observed.state else "", observed
        await clock.sleep(pause)
        pause = min(_GENTLY, pause * 1.6)


def unseen(change: Change, observed: Observed) -> str:
    """What could not be checked on this station, in words, or an empty string."""
    checked = bool(change.checks) or any(phase.wait for phase in change.phases)
    return (
        "the station reports no states: cells and core links were not checked" if checked and not observed.state else ""
    )


def _holds(wait: WaitFor, observed: Observed) -> bool:
    if wait.kind == "link-up":
        return link_up(observed, wait.path)
    return on_air(observed, wait.path) is (wait.kind == "cell-on-air")
