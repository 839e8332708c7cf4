"""Conditions that a transaction waits for: cells on air, core links up, functions ready, no new alarms."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from controller.drivers.protocols import DeviceSession
from controller.models.alarm import ActiveAlarm, AlarmRecord
from controller.models.health import ServiceState
from controller.models.many import first_names
from controller.models.plan import Change, PhaseKind, WaitFor
from controller.nrm.profiles import cell_of, cell_state, link_state, odd_state, unreported
from controller.nrm.profiles.function import is_stalled, not_ready_because, ready_as_asked
from controller.nrm.tree import Observed, Path, class_of, is_below
from controller.plan.phases import was_failed
from controller.ports.clock import Clock
from controller.runs.transaction.remote_links import state_behind, steady_behind

#: Seconds between two reads: short at first, longer later.
_SOON, _GENTLY = 0.1, 2.0
#: The longest time for a function to become ready: its image is loaded over a slow link, then it starts.
READY_SECONDS = 600.0
#: Seconds in which an operator that gave up may recover, for example if it saw only a part of an edit.
STALLED_SECONDS = 5.0
#: Seconds after which a station that reports no state at all is not waited for any more: whoever reports some does so
#: as soon as there is something to report of, if only DISABLED.
SILENT_SECONDS = 5.0
#: Why a wait ended early.
CANCELLED = "cancelled by a person"
#: Conditions that the device's reported state proves.
_SERVES = ("link-up", "cell-on-air")

#: Code that stands among what is excused where the AlarmList was read before the change.
_RECORDS = "alarm-records"

#: A device path or alarm name that was already at fault before.
Excuse = str


def excused(change: Change, before: Observed) -> tuple[Excuse, ...]:
    """Faults that this change did not cause.

    Core links that were down before and that the change does not edit; cells that had failed before, where the change
    is about more than their administrative state; alarms that stood; cells and links of which the station has others of
    their class (``EP_NgC``) and reports no state of them: nobody waits for it. The plan may be older than such a fault.
    """
    edited = [edit.path for phase in change.phases for edit in phase.edits]
    waits = _waits(change)
    links = {wait.path for wait in waits if wait.kind == "link-up" and _was_not_up(wait, before)}
    down = {link for link in links if not any(is_below(path, link) for path in edited)}
    own = {wait.path: class_of(wait.path) for wait in waits if wait.kind in _SERVES and not wait.behind}
    silent = unreported(before, own.values())
    unknown = {path for path, name in own.items() if name in silent}
    edits = any(phase.kind is PhaseKind.EDIT for phase in change.phases)
    failed = {wait.path for wait in waits if edits and wait.kind == "cell-on-air" and was_failed(before, wait.path)}
    kept = () if before.records is None else (_RECORDS,)
    return (
        *sorted(down | failed | unknown),
        *sorted({alarm.name for alarm in _alarms_of(before) if alarm.grave}),
        *kept,
    )


def _alarms_of(observed: Observed) -> tuple[ActiveAlarm | AlarmRecord, ...]:
    """Alarms that a station reports, in either form."""
    return (*observed.alarms, *(observed.records or ()))


def _waits(change: Change) -> tuple[WaitFor, ...]:
    """All conditions of the change, without repetition."""
    return tuple(dict.fromkeys((*(wait for phase in change.phases for wait in phase.wait), *change.checks)))


def coming(change: Change, seen: Observed) -> tuple[Path, ...]:
    """Functions that the change waits for and that are not ready yet, by path."""
    waits = (wait for wait in _waits(change) if wait.kind == "ready" and wait.path in seen.tree)
    return tuple(wait.path for wait in waits if _state(wait, seen) is ServiceState.DOWN)


def _was_not_up(wait: WaitFor, before: Observed) -> bool:
    """Whether a link existed and was not up; a link behind the device always exists."""
    if wait.behind:
        return state_behind(wait.path, before) is not ServiceState.UP
    return wait.path in before.tree and link_state(before, wait.path) is not ServiceState.UP


async def unmet(
    session: DeviceSession,
    conditions: Sequence[WaitFor],
    forgiven: Iterable[Excuse],
    seen: Observed,
    clock: Clock,
    seconds: float,
    *,
    quiet: bool = False,
    cut: Callable[[], bool] = lambda: False,
    astray: Callable[[Observed], bool] = lambda _: False,
) -> tuple[str, Observed]:
    """Wait until all conditions hold at once.

    States that the station does not report in all that time do not count as missing (see ``remark``). A station that
    reports none at all, as a server on which nothing provides any, is not waited for so long (``SILENT_SECONDS``). It
    also waits for alarms to clear: many do so by themselves while the change settles. It does not wait for a function
    whose operator gave up, nor for one that somebody else changed meanwhile: what becomes ready then is not what was
    asked for.

    Args:
        session: Where to read again, and again.
        conditions: What must hold.
        forgiven: Links that need not, and alarms that stood before (see ``excused``).
        seen: What was read just now: the first reading.
        clock: For the pauses.
        seconds: How long to wait; for a function that is not ready yet longer (``READY_SECONDS``).
        quiet: Whether new critical and major alarms must be gone too.
        cut: Whether a function is not to be waited for any more.
        astray: Whether somebody else changed what the change left there.

    Returns:
        Those that don't hold after ``seconds`` in words, or an empty string; and what was read last.
    """
    excuse = frozenset(forgiven)
    wanted = [wait for wait in conditions if wait.path not in excuse]
    begin, pause = clock.monotonic(), _SOON
    stalled: float | None = None
    while True:
        states = [(wait, _state(wait, seen)) for wait in wanted]
        alarms = [f"{alarm.name}: {alarm.text}" for alarm in _new(seen, excuse)] if quiet else []
        if not alarms and all(state is ServiceState.UP for _, state in states):
            return "", seen
        missing = [wait for wait, state in states if state is ServiceState.DOWN]
        late = [wait for wait in missing if wait.kind == "ready"]
        most = max(seconds, READY_SECONDS) if late else seconds
        now = clock.monotonic()
        stalled = (stalled or now) if any(is_stalled(seen, wait.path) for wait in late) else None
        hopeless = (stalled is not None and now >= stalled + STALLED_SECONDS) or (bool(late) and astray(seen))
        silent = now >= begin + SILENT_SECONDS and not (missing or alarms) and _is_silent(wanted, seen)
        if hopeless or silent or now >= begin + most or (late and cut()):
            words = _in_words([_name(wait, seen) for wait in missing], alarms, min(most, round(now - begin)))
            return (f"{CANCELLED}; {words}" if late and cut() else words), seen
        await clock.sleep(pause)
        pause = min(_GENTLY, pause * 1.6)
        seen = await session.read()


def _is_silent(wanted: Iterable[WaitFor], seen: Observed) -> bool:
    """Whether a station has cells and links and reports no state; of their root some stations report a release only."""
    own = all(wait.path in seen.tree and wait.kind != "ready" for wait in wanted)
    return own and all(path.rfind("/") == 0 for path in seen.state)


def _new(seen: Observed, before: Container[Excuse]) -> Iterator[ActiveAlarm | AlarmRecord]:
    listed = _alarms_of(seen) if _RECORDS in before else seen.alarms
    return (alarm for alarm in listed if alarm.grave and alarm.name not in before)


def _in_words(missing: Sequence[str], alarms: Sequence[str], seconds: float) -> str:
    """Conditions that still do not hold, in words; only the first few, since people read this."""
    words = [f"not reached within {seconds:g} s: {', '.join(missing)}"] if missing else []
    words += [f"new alarms for {seconds:g} s: {first_names(alarms)}"] if alarms else []
    return "; ".join(words)


def remark(change: Change, observed: Observed) -> str:
    """What was not proved about a successful change, in words; empty if nothing."""
    return "; ".join(filter(None, (_not_checked(change, observed), _down_as_before(change, observed))))


def _not_checked(change: Change, observed: Observed) -> str:
    """States that the station did not report."""
    proved = [wait for wait in _waits(change) if wait.kind in (*_SERVES, "ready")]
    unknown = [wait for wait in proved if _state(wait, observed) is ServiceState.UNKNOWN]
    if not unknown:
        return ""
    if unnoticed := [wait.path for wait in unknown if wait.kind == "ready"]:
        named = first_names(unnoticed)
        return f"not checked, since its operator does not say that it noticed the new parameters: {named}"
    if not observed.state:
        return "the station reports no states: cells and core links were not checked"
    odd = {wait.path: said for wait in unknown if (said := odd_state(observed, wait.path))}
    silent = [wait.path for wait in unknown if wait.path not in odd]
    untold = f"not checked, since their state is not reported: {first_names(silent)}" if silent else ""
    said = first_names([f"{path} {said}" for path, said in odd.items()])
    return "; ".join(
        filter(None, (untold, f"not checked, since their state is in no known word: {said}" if odd else ""))
    )


def _down_as_before(change: Change, observed: Observed) -> str:
    return "; ".join(filter(None, (_cells_off_as_before(change, observed), _links_down_as_before(change, observed))))


def _cells_off_as_before(change: Change, observed: Observed) -> str:
    """Cells that had failed before the change, and are off the air still."""
    own = [wait.path for wait in _waits(change) if wait.kind == "cell-on-air"]
    off = [cell_of(path) for path in own if was_failed(observed, path)]
    return f"off the air, as before: {first_names(off)}" if off else ""


def _links_down_as_before(change: Change, observed: Observed) -> str:
    behind = {check.path: state_behind(check.path, observed) for check in change.checks if check.behind}
    down = [path for path, state in behind.items() if state is ServiceState.DOWN]
    return f"{len(down)} of {len(behind)} core links behind it are down, as before: {first_names(down)}" if down else ""


def _name(wait: WaitFor, seen: Observed) -> str:
    why = f" ({reason})" if wait.kind == "ready" and (reason := not_ready_because(seen, wait.path)) else ""
    return f"{wait.kind} {wait.path}{why}" if wait.path else "any core link behind it up"


def _state(wait: WaitFor, observed: Observed) -> ServiceState:
    """Whether a condition holds (``UP``), as far as the device reports it."""
    match wait.kind:
        case "any-link-up":
            return ServiceState.any_of(
                steady_behind(path, observed) for path in observed.state if not path.startswith("/")
            )
        case "link-up":
            return steady_behind(wait.path, observed) if wait.behind else link_state(observed, wait.path)
        case "ready":
            return ready_as_asked(observed, wait.path)
        case "cell-on-air":
            return cell_state(observed, wait.path)
        case "cell-off-air":
            return cell_state(observed, wait.path).opposite
