"""What a transaction waits for on a device: cells on air, core links up, no new alarms."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from controller.models.alarm import ActiveAlarm
from controller.models.plan import Change, WaitFor
from controller.nrm.profiles import link_up, on_air
from controller.nrm.tree import Observed, is_below
from controller.ports.clock import Clock
from controller.ports.devices import DeviceSession
from controller.runs.watching import down_behind

#: Seconds between two reads: soon at first, gently later.
_SOON, _GENTLY = 0.1, 2.0
#: Alarms, and links that are down, that are named.
_MOST = 3


#: What a device path or the name of an alarm stands for: something that was wrong before.
Excuse = str


def excused(change: Change, before: Observed) -> tuple[Excuse, ...]:
    """Core links that were down before and that the change does not edit, and alarms: not this change's fault."""
    edited = [edit.path for phase in change.phases for edit in phase.edits]
    waits = (*change.checks, *(wait for phase in change.phases for wait in phase.wait))
    links = {wait.path for wait in waits if wait.kind == "link-up" and _was_down(wait, before)}
    down = sorted(link for link in links if not any(is_below(path, link) for path in edited))
    return (*down, *sorted(alarm.name for alarm in before.alarms if alarm.grave))


def _was_down(wait: WaitFor, before: Observed) -> bool:
    """Whether a link was there, and down; one behind the device is always there."""
    if wait.behind:
        return down_behind(wait.path, before)
    return wait.path in before.tree and not link_up(before, wait.path)


async def unmet(
    session: DeviceSession,
    conditions: Sequence[WaitFor],
    forgiven: Iterable[Excuse],
    seen: Observed,
    clock: Clock,
    seconds: float,
    *,
    quiet: bool = False,
) -> tuple[str, Observed]:
    """Wait until all conditions hold at once.

    A station that reports no state at all can't be waited for: only its configuration is known (see ``remark``).
    Its alarms count all the same: many clear by themselves while the change settles.

    Args:
        session: Where to look again, and again.
        conditions: What must hold.
        forgiven: Links that need not, and alarms that stood before (see ``excused``).
        seen: What was read just now: the first look.
        clock: For the pauses.
        seconds: How long to wait.
        quiet: Whether new critical and major alarms must be gone too.

    Returns:
        Those that don't hold after ``seconds`` in words, or an empty string; and what was read last.
    """
    excuse = frozenset(forgiven)
    wanted = [wait for wait in conditions if wait.path not in excuse]
    end = clock.monotonic() + seconds
    pause = _SOON
    while True:
        missing = [_name(wait) for wait in wanted if not _holds(wait, seen)]
        alarms = [f"{alarm.name}: {alarm.text}" for alarm in _new(seen, excuse)] if quiet else []
        if not (missing or alarms):
            return "", seen
        if clock.monotonic() >= end:
            return _in_words(missing if seen.state else [], alarms, seconds), seen
        await clock.sleep(pause)
        pause = min(_GENTLY, pause * 1.6)
        seen = await session.read()


def _new(seen: Observed, before: Container[Excuse]) -> Iterator[ActiveAlarm]:
    return (alarm for alarm in seen.alarms if alarm.grave and alarm.name not in before)


def _in_words(missing: Sequence[str], alarms: Sequence[str], seconds: float) -> str:
    """What still does not hold; the first few, since a detail is for people."""
    words = [f"not reached within {seconds:g} s: {', '.join(missing)}"] if missing else []
    words += [f"new alarms for {seconds:g} s: {', '.join(alarms[:_MOST])}"] if alarms else []
    return "; ".join(words)


def remark(change: Change, observed: Observed) -> str:
    """What was not proved of a change that went well, in words, or an empty string."""
    if not observed.state:
        checked = bool(change.checks) or any(phase.wait for phase in change.phases)
        return "the station reports no states: cells and core links were not checked" if checked else ""
    behind = [check.path for check in change.checks if check.behind]
    down = [path for path in behind if down_behind(path, observed)]
    named = ", ".join(down[:_MOST])
    return f"{len(down)} of {len(behind)} core links behind it are down, as before: {named}" if down else ""


def _name(wait: WaitFor) -> str:
    return f"{wait.kind} {wait.path}" if wait.path else "any core link behind it up"


def _holds(wait: WaitFor, observed: Observed) -> bool:
    if wait.kind == "any-link-up":
        return any(link_up(observed, path) for path in observed.state if not path.startswith("/"))
    if wait.kind == "link-up":
        return link_up(observed, wait.path)
    return on_air(observed, wait.path) is (wait.kind == "cell-on-air")
