"""The shipped fake of ``Devices``: base stations in memory, with real transactions and scripted faults.

A fake device has what RFC 6241 requires: running and candidate, locks held by sessions, confirmed commit with persist
(§8.4), and a timer on the Clock that reverts it. Its state follows its configuration: unlocked cells come on air,
complete core links come up. Like real stations it refuses to change leaves of an unlocked cell that its schema allows
to change on a locked one only. Operations on its equipment and software take effect at once, or fail as scripted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial

from lxml import etree

from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import Capabilities, Check, DeviceSession, Notification, RemoteFile
from controller.drivers.target import DeviceTarget
from controller.models.alarm import ActiveAlarm, AlarmRecord, PerceivedSeverity
from controller.models.behaviour import FollowUp
from controller.models.equipment import Equipment, Operation, OperationKind, SlotState, UnitState
from controller.models.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceRefusedError,
    FileGoneError,
    HostKeyError,
    OversizedError,
    SessionLostError,
    UncommittedEditsError,
    UnreachableError,
)
from controller.models.measurement import Period
from controller.models.plan import Edit
from controller.nrm import namespaces as ns
from controller.nrm.apply import appending, apply_edits
from controller.nrm.profiles import root_spec
from controller.nrm.schema import LeafRole, Mutability, NodeRole, NodeSpec, spec_of
from controller.nrm.tree import LeafName, Leaves, Observed, Path, Tree, Value, child, class_of, is_below, parent, step
from controller.ports.clock import Clock

#: What a well-behaved station offers.
SAFE = Capabilities(candidate=True, confirmed_commit=True, writable_running=False, startup=False, validate=True)
#: A function or pool: each edit takes effect at once.
ON_POOLS = Capabilities(
    candidate=False, confirmed_commit=False, writable_running=True, startup=False, validate=False, atomic=False
)
#: A station that has only a running datastore.
RUNNING_ONLY = Capabilities(
    candidate=False, confirmed_commit=False, writable_running=True, startup=True, validate=False
)


class FaultKind(StrEnum):
    """What goes wrong with one operation."""

    DROP_BEFORE = "drop-before"
    """The session ends before the device has seen the request."""
    DROP_AFTER = "drop-after"
    """The device carries it out, then the session ends without an answer."""
    LOSE_REPLY = "lose-reply"
    """The device carries it out, the answer never comes, and the device keeps the session and its locks."""
    REFUSE = "refuse"
    """The device answers with an rpc-error."""
    LIE = "lie"
    """The device answers ok, and does nothing."""
    LATE = "late"
    """The device answers ok, and carries it out ``after`` seconds later, with the candidate as it was then."""
    DROP_LATE = "drop-late"
    """The session ends without an answer, and the device carries it out ``after`` seconds later, as with ``LATE``."""


@dataclass
class Fault:
    """One scripted fault.

    Attributes:
        operation: Method of the session, as in ``commit_confirmed``.
        wrong: What goes wrong; None if only ``act`` is called.
        act: Called before the operation, as in ``lambda: device.foreign_edit(edits)``.
        skip: Operations of this kind that pass unharmed first.
        times: Number of operations that it affects.
        late: Seconds after the operation until its answer comes.
        after: Seconds after its answer until an operation takes effect that is ``LATE`` or ``DROP_LATE``.
    """

    operation: str
    wrong: FaultKind | None = None
    act: Callable[[], None] | None = None
    skip: int = 0
    times: int = 1
    late: float = 0.0
    after: float = 0.0


_EVENTS = {
    OperationKind.DOWNLOAD: ("download-event", "file-name"),
    OperationKind.INSTALL: ("install-event", "slot-name"),
    OperationKind.ACTIVATE: ("activation-event", "slot-name"),
}
#: Software slots that every fake station has.
SLOTS = (
    SlotState(name="slot-a", status="VALID", version="1.0", active=True, running=True),
    SlotState(name="slot-b", status="EMPTY"),
)


@dataclass
class FakeEquipment:
    """Equipment that operations act on. Tests may read and set its attributes.

    Attributes:
        restart: Restarts the station.
        notify: Sends a notification.
        units: Radio units by name.
        version: Version that installations find in downloaded files.
        power: ``MAINS`` or ``BATTERY``.
        licence: ``VALID`` or ``MISSING``.
        periods: Its latest periods.
        fails: Operations that begin and then fail.
        sent: Operations that were carried out or begun, in order.
    """

    clock: Clock
    restart: Callable[[], None]
    notify: Callable[[etree._Element], None] = lambda content: None
    units: dict[str, UnitState] = field(default_factory=lambda: {"ru-1": UnitState(name="ru-1", kind="radio-unit")})
    slots: tuple[SlotState, ...] = SLOTS
    version: str = "2.0"
    power: str = "MAINS"
    licence: str = "VALID"
    periods: tuple[Period, ...] = ()
    fails: set[OperationKind] = field(default_factory=set)
    sent: list[OperationKind] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restarted = self._time()
        self.units = {name: unit.model_copy(update={"restarted": self.restarted}) for name, unit in self.units.items()}

    def read(self) -> Equipment:
        """The equipment as the station reports it."""
        now, units = self._time(), tuple(self.units.values())
        return Equipment(
            restarted=self.restarted,
            now=now,
            units=units,
            slots=self.slots,
            power=self.power,
            licence=self.licence,
        )

    def operate(self, operation: Operation) -> str:
        """Carry out an operation; returns why it does not begin, empty if it does."""
        kind, now = operation.kind, self._time()
        if kind is OperationKind.RESET_UNIT and operation.subject not in self.units:
            raise DeviceRefusedError(f"invalid-value: there is no unit {operation.subject}")
        if kind is OperationKind.ACTIVATE and not self._has_valid(operation.subject):
            return f"there is no valid slot {operation.subject}"
        self.sent.append(kind)
        works = kind not in self.fails
        if kind is OperationKind.RESET and works:
            self._boot()
        elif kind is OperationKind.RESET_UNIT and works:
            unit = self.units[operation.subject]
            self.units[operation.subject] = unit.model_copy(update={"restarted": now})
        elif kind is OperationKind.RELOAD_LICENCE and works:
            self.licence = "VALID"
        elif kind is OperationKind.INSTALL:
            self._put(operation.subject, status="VALID" if works else "INVALID", version=self.version if works else "")
        elif kind is OperationKind.ACTIVATE and works:
            self.slots = tuple(s.model_copy(update={"active": s.name == operation.subject}) for s in self.slots)
        if kind in _EVENTS:
            self._report(operation, "COMPLETED" if works else "APPLICATION_ERROR")
        return ""

    def _time(self) -> datetime:
        """Stations report time in whole seconds."""
        return self.clock.now().replace(microsecond=0)

    def _has_valid(self, name: str) -> bool:
        return any(slot.name == name and slot.status == "VALID" for slot in self.slots)

    def _boot(self) -> None:
        self.restarted = self._time()
        self.slots = tuple(slot.model_copy(update={"running": slot.active}) for slot in self.slots)
        self.restart()

    def _put(self, name: str, *, status: str, version: str) -> None:
        update = {"status": status, "version": version}
        self.slots = tuple(slot.model_copy(update=update) if slot.name == name else slot for slot in self.slots)

    def _report(self, operation: Operation, status: str) -> None:
        name, leaf = _EVENTS[operation.kind]
        content = etree.Element(f"{{{ns.ORAN_SOFTWARE}}}{name}")
        subject = operation.subject.rpartition("/")[2]
        for tag, text in ((leaf, subject), ("status", status)):
            etree.SubElement(content, f"{{{ns.ORAN_SOFTWARE}}}{tag}").text = text
        self.notify(content)


@dataclass
class _Pending:
    """A confirmed commit that waits for its confirmation."""

    persist: str
    backup: Tree
    carried: str
    deadline: float
    timeout: float


class FakeDevice:
    """One station in memory. Tests may read and set its attributes.

    Attributes:
        unreachable: Why no session can be opened, empty if one can.
        host_key: The key that it presents; empty for the expected one.
        broken_links: Core links that don't come up, however they are configured.
        failed_cells: Cells that don't come on air.
        unreported: Classes of cells and core links (``EP_NgC``) whose state it does not report.
        on_air_after: Seconds from unlocking a cell until it is on air, and from editing a link until it is up.
        latency: Seconds that each operation takes.
        faults: Scripted faults, in any order.
        follow_up: How a following commit has to refer to a pending confirmed one; None if it refuses all.
        denies_locks: Whether it denies all locks while a confirmed commit is pending.
        places: Whether it puts new entries of lists in order where an edit says. Otherwise it refuses ``after``, and
            answers ok to ``first`` and appends all the same, as netconfd does.
        keeps_candidate: Whether edits of an ended session stay in the candidate, which then can't be locked.
        running_lock: Session of somebody else that has running locked alone; empty if none has.
        history: All configurations of running so far, oldest first.
        log: Operations that the device carried out, as ``session operation``.
        alarms: Its list of active alarms.
        records: Its AlarmList; None if it has none.
        equipment: Its units and software.
        lacks: Names of nodes that it does not support (``Observed.lacks``).
        files: Content of its folder of measurement files; None if it serves none.
        file_errors: Errors that it answers instead of a file, by the file's name; the empty name is for the list.
        fetched: Names of files that were fetched, in order.
        carried: Value of the leaf that carries its generation; it is not part of the tree.
        ready_after: Of a function, seconds until it is ready after it was made, or changed in a way that restarts it.
        stuck: Pools on which it does not become ready.
        short: Those of them on which only some of its replicas are ready.
        stalled: Those of them on which its operator gives up at the first request.
        dark: Its pools that do not answer, and why.
        elements: Ids of managed elements that it carries beside its own, or in its place.
        sessions_of: The type of its sessions: what they offer.
        started: Called with the pool whenever one of its pods starts; a new pod has no state of the one before.
    """

    def __init__(self, station: str, root: NodeSpec, tree: Tree, capabilities: Capabilities, clock: Clock) -> None:
        self.station = station
        self.root = root
        self.capabilities = capabilities
        self.unreachable = ""
        self.host_key = ""
        self.broken_links: set[Path] = set()
        self.failed_cells: set[Path] = set()
        self.unreported: set[str] = set()
        self.on_air_after = 0.0
        self.latency = 0.0
        self.denies_locks = False
        self.places = True
        self.keeps_candidate = False
        self.follow_up: FollowUp | None = FollowUp.BOTH
        self.alarms: list[ActiveAlarm] = []
        self.records: list[AlarmRecord] | None = None
        self.faults: list[Fault] = []
        self.history: list[Tree] = [dict(tree)]
        self.log: list[str] = []
        self.candidate: Tree = dict(tree)
        self.startup: Tree = dict(tree)
        self.lock_holder = ""
        self.running_lock = ""
        self.sessions: set[str] = set()
        self._clock = clock
        self.carried = ""
        #: Value of that leaf after the next commit; None if it was not edited.
        self._carrying: str | None = None
        self._pending: _Pending | None = None
        #: When operations that are late are carried out, with which candidate.
        self._late: list[tuple[float, Tree, Callable[[], None]]] = []
        self._since: dict[Path, float] = {}
        self._ids = itertools.count(1)
        self.equipment = FakeEquipment(clock, self.reboot)
        self.lacks: frozenset[str] = frozenset()
        self.files: dict[str, bytes] | None = None
        self.file_errors: dict[str, DeviceError] = {}
        self.fetched: list[str] = []
        self.ready_after = 0.0
        self.stuck: set[str] = set()
        self.short: set[str] = set()
        self.stalled: set[str] = set()
        self.dark: dict[str, str] = {}
        self.elements: tuple[str, ...] = ()
        self.sessions_of: type[FakeSession] = FakeEquippedSession if capabilities == ON_POOLS else FakeStationSession
        self.started: Callable[[str], None] = lambda pool: None

    @property
    def running(self) -> Tree:
        """The device's current configuration."""
        self._catch_up()
        return self.history[-1]

    @property
    def pending(self) -> str:
        """Persist token of the confirmed commit that waits for its confirmation; empty if there is none."""
        self._catch_up()
        return self._pending.persist if self._pending else ""

    def observe(self) -> Observed:
        """The result of a read: running, and the state that follows from it."""
        tree = self.running
        dark = {
            path: why
            for node in self.root.children
            for pool, why in self.dark.items()
            for path in [child(child("", self.root.name, self.station), node.name, pool)]
        }
        tree = {path: leaves for path, leaves in tree.items() if not any(is_below(path, one) for one in dark)}
        below: dict[Path, set[str]] = defaultdict(set)
        for path in tree:
            below[parent(path)].add(class_of(path))
        state = {
            path: found for path, spec in self._specs(tree) if (found := self._state(tree, path, spec, below[path]))
        }
        root = child("", self.root.name, self.station)
        carrier = next((leaf.name for leaf in self.root.leaves if leaf.carrier), None)
        if carrier and self.carried and root in tree:
            state[root] = {**state.get(root, {}), carrier: self.carried}
        records = None if self.records is None else tuple(self.records)
        return Observed(
            dict(tree),
            state,
            unknown=() if root in tree else self.elements_beside,
            alarms=tuple(self.alarms),
            records=records,
            lacks=self.lacks,
            dark=dark,
        )

    @property
    def elements_beside(self) -> tuple[Path, ...]:
        """Its other managed elements, as nodes that the profile does not know."""
        return tuple(f"/{self.root.tag}[{one}]" for one in self.elements)

    def operate(self, operation: Operation) -> str:
        """Carry out an operation; returns why it does not begin, empty if it does."""
        said = self.equipment.operate(operation)
        if operation.kind is OperationKind.ACKNOWLEDGE and operation.kind not in self.equipment.fails:
            known = [
                replace(one, acknowledged_by=operation.user) if one.id in operation.records else one
                for one in self.records or ()
            ]
            over = PerceivedSeverity.CLEARED
            self.records = [one for one in known if not (one.acknowledged_by and one.severity is over)]
        return said

    def foreign_edit(self, edits: Sequence[Edit]) -> None:
        """Change running as another manager would, past all locks."""
        self._become(apply_edits(self.root, self.running, edits))

    def reboot(self) -> None:
        """Cut the power: sessions end, a pending confirmed commit reverts."""
        self._revert()
        for session in tuple(self.sessions):
            self.end(session)

    def renew(self, tree: Tree) -> None:
        """Replace it by a device from the factory: sessions end, and its configuration is lost."""
        self._pending = None
        for session in tuple(self.sessions):
            self.end(session)
        self.history.append(dict(tree))
        self.candidate = self.startup = dict(tree)
        self.carried, self._carrying = "", None
        self._since.clear()

    def open(self) -> str:
        """Begin a session; returns its id."""
        session = str(next(self._ids))
        self.sessions.add(session)
        return session

    def end(self, session: str) -> None:
        """End a session: its locks are released, and its uncommitted edits are lost."""
        self.sessions.discard(session)
        if self.lock_holder == session:
            self.lock_holder = ""
            self.candidate = self.candidate if self.keeps_candidate else self.running
            self._carrying = self._carrying if self.keeps_candidate else None

    def discard(self) -> None:
        """Discard uncommitted edits."""
        self.candidate = self.running
        self._carrying = None

    # -------------------------------------------------------------- operations

    def lock(self, session: str) -> None:
        """Take the lock."""
        if self.keeps_candidate and not self.lock_holder and self.candidate != self.running:
            raise UncommittedEditsError(f"{self.station}: its candidate holds edits that somebody else did not commit")
        if self.denies_locks and self.pending:
            raise DeviceBusyError("in-use (outstanding-confirmed-commit): a confirmed commit is pending")
        if self.lock_holder:
            raise DeviceBusyError(f"session {self.lock_holder} holds the lock", self.lock_holder)
        self.lock_holder = session

    def unlock(self, session: str) -> None:
        """Release the lock; like many servers, discard uncommitted edits."""
        if self.lock_holder != session:
            raise DeviceRefusedError("operation-failed: the lock is not this session's")
        self.lock_holder = ""
        self.discard()

    def edit(self, session: str, edits: Sequence[Edit]) -> None:
        """Edit the candidate, or running if there is no candidate."""
        self._check_lock(session)
        base = self.candidate if self.capabilities.candidate else self.running
        if not self.places:
            if any(edit.after_sibling for edit in edits):
                raise DeviceRefusedError("bad-attribute: missing index component", tag="bad-attribute")
            edits = appending(edits)
        carrying = {leaf.name for leaf in self.root.leaves if leaf.carrier}
        carried = [edit for edit in edits if edit.after.keys() & carrying]
        edited = apply_edits(self.root, base, [edit for edit in edits if edit not in carried])
        for edit in carried:
            (text,) = edit.after.values()
            self._carrying = str(text)
        self._check_mutability(edited)
        if self.capabilities.candidate:
            self.candidate = edited
        else:
            self._become(edited)
            self._carry()

    def _carry(self) -> None:
        self.carried, self._carrying = self.carried if self._carrying is None else self._carrying, None

    def commit(self, session: str) -> None:
        """Plain commit."""
        self._check_locks(session)
        if self.pending:
            raise DeviceBusyError("in-use: a confirmed commit with a persist token is pending")
        if self.capabilities.candidate:
            self._become(self.candidate)
            self._carry()

    def commit_confirmed(self, session: str, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:
        """Confirmed commit; a following one keeps the backup of the first, and sets a new deadline."""
        if not self.capabilities.confirmed_commit:
            raise DeviceRefusedError("operation-not-supported: confirmed-commit")
        self._check_locks(session)
        if follow_up is FollowUp.PERSIST and not self.pending:
            follow_up = None  # The two are the same request.
        if follow_up is not None and follow_up is not self.follow_up:
            raise DeviceRefusedError("Persist ID given in confirmed commit rpc.", tag="invalid-value")
        if self.pending and not follow_up:
            raise DeviceBusyError("in-use: a confirmed commit with another persist token is pending")
        if self.pending != (persist if follow_up else ""):
            raise DeviceRefusedError(f"invalid-value: the pending confirmed commit is {self.pending or 'none'}")
        backup = self._pending.backup if self._pending else self.running
        carried = self._pending.carried if self._pending else self.carried
        self._become(self.candidate)
        self._carry()
        self._pending = _Pending(persist, backup, carried, self._clock.monotonic() + timeout, timeout)

    def confirm(self, session: str, persist: str) -> None:
        """Confirming commit, which also commits the content of the candidate."""
        self._check_locks(session)
        self._check_persist(persist)
        self._become(self.candidate)
        self._carry()
        self._pending = None

    def cancel(self, session: str, persist: str) -> None:
        """Cancel the pending confirmed commit."""
        self._check_locks(session)
        self._check_persist(persist)
        self._revert()

    def _check_lock(self, session: str) -> None:
        if self.lock_holder not in ("", session):
            raise DeviceBusyError(f"in-use: session {self.lock_holder} holds the lock", self.lock_holder)

    def _check_locks(self, session: str) -> None:
        """Of the candidate, and of running, which a commit changes."""
        self._check_lock(session)
        if self.running_lock:
            raise DeviceBusyError(f"lock-denied: session {self.running_lock} holds running", self.running_lock)

    def _check_persist(self, persist: str) -> None:
        if self.pending != persist or not persist:
            raise DeviceRefusedError(f"no confirmed commit {persist!r} is pending", tag="invalid-value")

    def _check_mutability(self, edited: Tree) -> None:
        for path, spec in self._specs(edited):
            before = self.running.get(path)
            if before is None or before == edited[path]:
                continue
            changed = {name for name in {*before, *edited[path]} if before.get(name) != edited[path].get(name)}
            for leaf in spec.leaves:
                if leaf.name not in changed:
                    continue
                if leaf.mutability is Mutability.CREATE_ONLY:
                    raise DeviceRefusedError(f"operation-failed: {path} {leaf.name} can't be changed")
                if spec.is_cell and leaf.mutability is Mutability.LOCKED and _unlocked(spec, before):
                    raise DeviceRefusedError(f"operation-failed: {path} {leaf.name} changes on a locked cell only")

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Carry out an operation in some seconds, past all locks, with the candidate as it is now."""
        self._late.append((self._clock.monotonic() + seconds, self.candidate, act))
        self._late.sort(key=lambda late: late[0])

    def _catch_up(self) -> None:
        """Carry out what is due by now: operations that are late, and the end of a confirmed commit."""
        while self._late and self._late[0][0] <= self._clock.monotonic():
            due, candidate, act = self._late.pop(0)
            self._revert_if_due(due)
            held, self.lock_holder = self.lock_holder, ""
            kept, self.candidate = self.candidate, candidate
            with contextlib.suppress(DeviceError):
                act()
            self.lock_holder, self.candidate = held, kept
            if self._pending is not None:
                self._pending.deadline = min(self._pending.deadline, due + self._pending.timeout)
        self._revert_if_due(self._clock.monotonic())

    def _revert_if_due(self, now: float) -> None:
        if self._pending and now >= self._pending.deadline:
            self._revert()

    def _revert(self) -> None:
        """Take a pending confirmed commit back."""
        if self._pending:
            self._become(self._pending.backup)
            self.carried = self._pending.carried
        self._pending = None

    def _become(self, tree: Tree) -> None:
        """Make ``tree`` running, and note which cells and links it changes."""
        old = self.history[-1]
        changed = [path for path in {*tree, *old} if tree.get(path) != old.get(path)]
        pods: list[str] = []
        for path, spec in self._specs(tree):
            if spec.role is NodeRole.WORKLOAD and _restarts(spec, old.get(path), tree[path]):
                self._since[path] = self._clock.monotonic()
                pods.append(step(path)[1][0])
            if (spec.is_cell and _unlocked(spec, tree[path]) and not _unlocked(spec, old.get(path, {}))) or (
                spec.link and any(is_below(other, path) for other in changed)
            ):
                self._since[path] = self._clock.monotonic()
        if tree != old or list(tree) != list(old):
            self.history.append(dict(tree))
        for pool in pods:
            self.started(pool)

    def _specs(self, tree: Tree) -> list[tuple[Path, NodeSpec]]:
        return [(path, spec) for path in tree if (spec := spec_of(self.root, path))]

    def _state(self, tree: Tree, path: Path, spec: NodeSpec, below: Collection[str]) -> dict[LeafName, Value]:
        if spec.name in self.unreported:
            return {}
        settled = self._clock.monotonic() - self._since.get(path, -self.on_air_after) >= self.on_air_after
        if spec.is_cell:
            enabled = path not in self.failed_cells
            unlocked = _unlocked(spec, tree[path])
            return {
                spec.leaf(LeafRole.OPERATIONAL_STATE): "ENABLED" if enabled else "DISABLED",
                spec.leaf(LeafRole.CELL_STATE): "IDLE"
                if not unlocked
                else "ACTIVE"
                if enabled and settled
                else "INACTIVE",
            }
        if spec.role is NodeRole.WORKLOAD:
            since = self._clock.monotonic() - self._since.get(path, -self.ready_after)
            (pool,) = step(path)[1]
            ready = since >= self.ready_after and pool not in self.stuck
            gave_up = {spec.leaf(LeafRole.STALLED): "true"} if pool in self.stalled & self.stuck else {}
            serves = {spec.leaf(LeafRole.AVAILABLE): "true"} if pool in self.short & self.stuck else {}
            return {spec.leaf(LeafRole.READY): "true" if ready else "false", **gave_up, **serves}
        if spec.link:
            complete = all(node.name in below for node in spec.children if node.single)
            up = complete and settled and path not in self.broken_links
            up = up and {spec.leaf(LeafRole.REMOTE_ADDRESS)} - {""} <= tree[path].keys() and _unlocked(spec, tree[path])
            return {spec.leaf(LeafRole.OPERATIONAL_STATE): "ENABLED" if up else "DISABLED"}
        return {}


def _restarts(spec: NodeSpec, before: Leaves | None, after: Leaves) -> bool:
    """Whether a change restarts the function's pod."""
    if before is None:
        return True
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return any(spec.leaf_by_name[name].mutability is Mutability.RESTART for name in changed)


def _unlocked(spec: NodeSpec, leaves: Leaves) -> bool:
    leaf = spec.leaf_by_role.get(LeafRole.ADMINISTRATIVE_STATE)
    return leaf is None or leaves.get(leaf.name, leaf.default) == "UNLOCKED"


class FakeSession:
    """One session to a fake device, which offers what all kinds of devices do; those below it offer more."""

    def __init__(self, device: FakeDevice, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._id = device.open()
        self._hung = False

    @property
    def capabilities(self) -> Capabilities:
        """See ``DeviceSession.capabilities``."""
        return self._device.capabilities

    async def discard(self) -> None:
        """See ``DeviceSession.discard``."""

        def act() -> None:
            self._device.discard()

        await self._do("discard", act)

    async def read(self) -> Observed:
        """See ``DeviceSession.read``."""
        await self._do("read", lambda: None)
        return self._device.observe()

    async def edit(self, edits: Sequence[Edit]) -> None:
        """See ``DeviceSession.edit``."""
        await self._do("edit", lambda: self._device.edit(self._id, edits))

    async def commit(self, check: Check | None = None) -> None:
        """See ``DeviceSession.commit``."""
        await self._do("commit", lambda: self._device.commit(self._id))

    def leave(self) -> None:
        """End the session, unless it hangs: then the device does not notice that we are gone."""
        if not self._hung:
            self._device.end(self._id)

    async def _do(self, operation: str, act: Callable[[], None]) -> None:
        """Carry out one operation with the scripted faults."""
        if self._device.latency:
            await self._clock.sleep(self._device.latency)
        if self._hung or self._id not in self._device.sessions:
            raise SessionLostError(f"the session to {self._device.station} has ended")
        fault = self._next_fault(operation)
        if fault and fault.act:
            fault.act()
        wrong = fault.wrong if fault else None
        if wrong is FaultKind.REFUSE:
            raise DeviceRefusedError(f"operation-failed: {self._device.station} refuses {operation}")
        if wrong is FaultKind.DROP_BEFORE or self._id not in self._device.sessions:
            self._device.end(self._id)
            raise SessionLostError(f"the session to {self._device.station} ended before {operation}")
        if fault is not None and wrong in (FaultKind.LATE, FaultKind.DROP_LATE):
            self._device.later(fault.after, act)
        elif wrong is not FaultKind.LIE:
            act()
            self._device.log.append(f"{self._id} {operation}")
        if fault and fault.late:
            await self._clock.sleep(fault.late)
        if wrong in (FaultKind.DROP_AFTER, FaultKind.DROP_LATE, FaultKind.LOSE_REPLY):
            self._hung = wrong is FaultKind.LOSE_REPLY
            self.leave()
            raise SessionLostError(f"no answer to {operation} from {self._device.station}")

    def _next_fault(self, operation: str) -> Fault | None:
        for fault in self._device.faults:
            if fault.operation != operation or not fault.times:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
        return None


class FakeEquippedSession(FakeSession):
    """One session to a fake function or pool, which has equipment besides."""

    async def equipment(self) -> Equipment:
        """See ``Equipped.equipment``."""
        await self._do("equipment", lambda: None)
        return self._device.equipment.read()

    async def operate(self, operation: Operation) -> str:
        """See ``Equipped.operate``."""
        said: list[str] = []
        await self._do("operate", lambda: said.append(self._device.operate(operation)))
        return said[0] if said else ""


class FakeGuardedSession(FakeSession):
    """One session to a fake router, which has confirmed commits and a startup configuration besides."""

    async def commit_confirmed(self, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:  # noqa: ASYNC109 - of the RPC
        """See ``ConfirmedCommit.commit_confirmed``."""
        await self._do("commit_confirmed", lambda: self._device.commit_confirmed(self._id, persist, timeout, follow_up))

    async def confirm(self, persist: str) -> None:
        """See ``ConfirmedCommit.confirm``."""
        await self._do("confirm", lambda: self._device.confirm(self._id, persist))

    async def cancel(self, persist: str) -> None:
        """See ``ConfirmedCommit.cancel``."""
        await self._do("cancel", lambda: self._device.cancel(self._id, persist))

    async def copy_to_startup(self) -> None:
        """See ``Startup.copy_to_startup``."""

        def act() -> None:
            self._device.startup = self._device.running

        await self._do("copy_to_startup", act)


class FakeStationSession(FakeEquippedSession, FakeGuardedSession):
    """One session to a fake station, which offers all that a kind may."""

    @property
    def session_id(self) -> str:
        """See ``Locks.session_id``."""
        return self._id

    async def lock(self) -> None:
        """See ``Locks.lock``."""
        await self._do("lock", lambda: self._device.lock(self._id))

    async def unlock(self) -> None:
        """See ``Locks.unlock``."""
        await self._do("unlock", lambda: self._device.unlock(self._id))

    async def kill(self, session_id: str) -> None:
        """See ``Locks.kill``."""

        def act() -> None:
            if session_id == self._id or session_id not in self._device.sessions:
                raise DeviceRefusedError(f"invalid-value: there is no other session {session_id}")
            self._device.end(session_id)

        await self._do("kill", act)

    async def abandon(self) -> None:
        """See ``Locks.abandon``."""
        self._device.end(self._id)

    async def read_candidate(self) -> Tree:
        """See ``Candidate.read_candidate``."""
        await self._do("read_candidate", lambda: None)
        return dict(self._device.candidate if self._device.capabilities.candidate else self._device.observe().tree)

    async def elements_beside(self) -> tuple[Path, ...]:
        """See ``ManagedElements.elements_beside``."""
        return self._device.elements_beside

    async def measurements(self) -> tuple[Period, ...]:
        """See ``Measuring.measurements``."""
        await self._do("measurements", lambda: None)
        return self._device.equipment.periods


class FakeFiles:
    """The folder of measurement files of a fake device."""

    def __init__(self, device: FakeDevice, clock: Clock) -> None:
        self._device = device
        self._clock = clock

    async def list(self, most: int) -> tuple[RemoteFile, ...]:
        """See ``DeviceFiles.list``."""
        files = await self._answered("")
        if len(files) > most:
            raise OversizedError(f"{self._device.station}: its folder of files holds more than {most} of them.")
        return tuple(RemoteFile(name, len(content), 0) for name, content in sorted(files.items()))

    async def fetch(self, name: str, most: int) -> bytes:
        """See ``DeviceFiles.fetch``."""
        content = (await self._answered(name)).get(name)
        if content is None:
            raise FileGoneError(f"{self._device.station} has no such file any more: file {name}.")
        if len(content) > most:
            raise OversizedError(f"{self._device.station}: file {name} is larger than {most} bytes.")
        self._device.fetched.append(name)
        return content

    async def _answered(self, name: str) -> dict[str, bytes]:
        if self._device.latency:
            await self._clock.sleep(self._device.latency)
        if error := self._device.file_errors.get(name):
            raise error
        if self._device.unreachable or self._device.files is None:
            raise SessionLostError(f"{self._device.station} ended the connection before its files")
        return self._device.files


class FakeDevices:
    """The shipped fake of ``Devices``.

    Args:
        clock: Time of the devices' timers, latencies and states.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._devices: dict[str, FakeDevice] = {}
        self._listeners: defaultdict[str, list[asyncio.Queue[Notification | None]]] = defaultdict(list)

    def add(
        self, station: str, profiles: tuple[str, ...] | NodeSpec, tree: Tree, capabilities: Capabilities = SAFE
    ) -> FakeDevice:
        """Add a device with the configuration ``tree``: a station, or ``ON_POOLS``."""
        root = profiles if isinstance(profiles, NodeSpec) else root_spec(profiles)
        device = FakeDevice(station, root, tree, capabilities, self._clock)
        device.equipment.notify = partial(self.notify, station)
        self._devices[station] = device
        return device

    def __getitem__(self, station: str) -> FakeDevice:
        return self._devices[station]

    def session(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """See ``Devices.session``; every session is a new one."""
        return self._session(target)

    def aside(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """See ``Devices.aside``."""
        return self._session(target)

    @asynccontextmanager
    async def _session(self, target: DeviceTarget) -> AsyncIterator[DeviceSession]:
        device = self._devices.get(target.device)
        if device is None or device.unreachable:
            raise UnreachableError(f"{target.device}: {device.unreachable if device else 'there is no such station'}")
        if device.host_key and not (isinstance(target, NetconfTarget) and device.host_key == target.host_key):
            raise HostKeyError(f"{target.device} showed another host key than the inventory pins")
        session = device.sessions_of(device, self._clock)
        try:
            yield session
        finally:
            session.leave()

    @asynccontextmanager
    async def files(self, target: DeviceTarget) -> AsyncIterator[FakeFiles]:
        """See ``Devices.files``."""
        async with self._session(target):
            device = self._devices[target.device]
            if device.files is None or not target.serves_files:
                raise DeviceRefusedError(f"{target.device} opened no channel for subsystem sftp: it serves no files")
            yield FakeFiles(device, self._clock)

    def notify(self, station: str, content: etree._Element) -> None:
        """Send a notification to all that listen to the station."""
        for listener in self._listeners[station]:
            listener.put_nowait(Notification(station, self._clock.now(), str(content.tag), content))

    def end_notifications(self, station: str) -> None:
        """End the sessions of all that listen to the station."""
        for listener in self._listeners[station]:
            listener.put_nowait(None)

    async def notifications(
        self, target: DeviceTarget, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        """See ``Devices.notifications``; fake stations have no replay."""
        if since is not None:
            raise DeviceRefusedError(f"operation-failed: {target.device} does not support replay")
        arrived: asyncio.Queue[Notification | None] = asyncio.Queue()
        async with self._session(target):
            self._listeners[target.device].append(arrived)
            if listening is not None:
                listening()
            try:
                while (notification := await arrived.get()) is not None:
                    yield notification
            finally:
                self._listeners[target.device].remove(arrived)
        raise SessionLostError(f"the notification session to {target.device} has ended")

    async def close(self) -> None:
        """See ``Devices.close``."""
        for station in self._listeners:
            self.end_notifications(station)
        for device in self._devices.values():
            for session in tuple(device.sessions):
                device.end(session)
