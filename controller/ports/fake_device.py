"""A fake base station in memory, with true transactions and scripted faults.

A fake device has what RFC 6241 asks of one: running and candidate, locks held by sessions,
confirmed commit with persist (§8.4), and a timer on the Clock that reverts it. Its state follows
its configuration: unlocked cells come on air, complete core links come up. Like real stations it
refuses to change on an unlocked cell what its schema lets change on a locked one only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controller.models.alarm import ActiveAlarm
from controller.models.behaviour import FollowUp
from controller.models.errors import DeviceBusyError, DeviceRefusedError, UncommittedEditsError
from controller.models.plan import Edit
from controller.nrm.apply import apply_edits
from controller.nrm.schema import LeafRole, Mutability, NodeSpec, spec_of
from controller.nrm.tree import LeafName, Leaves, Observed, Path, Tree, Value, child, is_below
from controller.ports.clock import Clock
from controller.ports.devices import Capabilities
from controller.ports.fake_equipment import FakeEquipment

#: What a well-behaved station offers.
SAFE = Capabilities(candidate=True, confirmed_commit=True, writable_running=False, startup=False, validate=True)
#: A station that knows nothing but its running datastore.
RUNNING_ONLY = Capabilities(
    candidate=False, confirmed_commit=False, writable_running=True, startup=True, validate=False
)


class Wrong(StrEnum):
    """What goes wrong with one operation."""

    DROP_BEFORE = "drop-before"
    """The session ends before the device has seen the request."""
    DROP_AFTER = "drop-after"
    """The device carries it out, then the session ends without an answer."""
    LOSE_REPLY = "lose-reply"
    """The device carries it out, the answer never comes, and the device keeps session and locks."""
    REFUSE = "refuse"
    """The device answers with an rpc-error."""
    LIE = "lie"
    """The device answers ok and does nothing."""


@dataclass
class Fault:
    """One scripted fault.

    Attributes:
        operation: Method of the session, as in ``commit_confirmed``.
        wrong: What goes wrong; None where only ``act`` happens.
        act: Called before the operation, as in ``lambda: device.foreign_edit(edits)``.
        skip: Operations of this kind that pass unharmed first.
        times: Operations that it hits; afterwards it is spent.
    """

    operation: str
    wrong: Wrong | None = None
    act: Callable[[], None] | None = None
    skip: int = 0
    times: int = 1


@dataclass
class _Pending:
    """A confirmed commit that waits for its confirmation."""

    persist: str
    backup: Tree
    carried: str
    deadline: float


class FakeDevice:
    """One station in memory. Tests may look at and set its attributes.

    Attributes:
        unreachable: Why no session can be opened, empty if one can.
        host_key: The key it shows, empty for the one that is expected.
        broken_links: Core links that don't come up however they are configured.
        failed_cells: Cells that don't come on air.
        untold: Classes of cells and core links (``EP_NgC``) whose state it does not tell.
        on_air_after: Seconds from unlocking a cell until it is on air, and from editing a link until it is up.
        latency: Seconds that each operation takes.
        faults: Faults to come, in any order.
        follow_up: How it wants a pending confirmed commit named by one that follows; None where it refuses all.
        denies_locks: Whether it denies all locks while a confirmed commit is pending.
        keeps_candidate: Whether edits of a session that ended stay in the candidate, which then can't be locked.
        history: Every configuration that running has had, oldest first.
        log: Operations that the device carried out, as ``session operation``.
        alarms: What it lists as active alarms.
        equipment: Its units and software.
        carried: What the leaf holds that carries its generation; it stands beside the tree.
    """

    def __init__(self, station: str, root: NodeSpec, tree: Tree, capabilities: Capabilities, clock: Clock) -> None:
        self.station = station
        self.root = root
        self.capabilities = capabilities
        self.unreachable = ""
        self.host_key = ""
        self.broken_links: set[Path] = set()
        self.failed_cells: set[Path] = set()
        self.untold: set[str] = set()
        self.on_air_after = 0.0
        self.latency = 0.0
        self.denies_locks = False
        self.keeps_candidate = False
        self.follow_up: FollowUp | None = FollowUp.BOTH
        self.alarms: list[ActiveAlarm] = []
        self.faults: list[Fault] = []
        self.history: list[Tree] = [dict(tree)]
        self.log: list[str] = []
        self.candidate: Tree = dict(tree)
        self.startup: Tree = dict(tree)
        self.lock_holder = ""
        self.sessions: set[str] = set()
        self._clock = clock
        self.carried = ""
        #: What it will hold by the next commit; None where nothing was edited there.
        self._carrying: str | None = None
        self._pending: _Pending | None = None
        self._since: dict[Path, float] = {}
        self._ids = itertools.count(1)
        self.equipment = FakeEquipment(clock, self.reboot)

    @property
    def running(self) -> Tree:
        """What the device carries now."""
        self._revert_if_due()
        return self.history[-1]

    @property
    def pending(self) -> str:
        """Persist token of the confirmed commit that waits for its confirmation, empty if there is none."""
        self._revert_if_due()
        return self._pending.persist if self._pending else ""

    def observe(self) -> Observed:
        """What a read returns: running, and the state that follows from it."""
        tree = self.running
        state = {path: found for path, spec in self._specs(tree) if (found := self._state(tree, path, spec))}
        root = child("", self.root.name, self.station)
        carrier = next((leaf.name for leaf in self.root.leaves if leaf.carrier), None)
        if carrier and self.carried and root in tree:
            state[root] = {**state.get(root, {}), carrier: self.carried}
        return Observed(dict(tree), state, alarms=tuple(self.alarms))

    def foreign_edit(self, edits: Sequence[Edit]) -> None:
        """Somebody else changes running, past all locks."""
        self._become(apply_edits(self.root, self.running, edits))

    def reboot(self) -> None:
        """Power fails: sessions end, a pending confirmed commit reverts."""
        self._revert()
        for session in tuple(self.sessions):
            self.end(session)

    def open(self) -> str:
        """Begin a session; its id."""
        session = str(next(self._ids))
        self.sessions.add(session)
        return session

    def end(self, session: str) -> None:
        """End a session: its locks go, and uncommitted edits with them."""
        self.sessions.discard(session)
        if self.lock_holder == session:
            self.lock_holder = ""
            self.candidate = self.candidate if self.keeps_candidate else self.running
            self._carrying = self._carrying if self.keeps_candidate else None

    def discard(self) -> None:
        """Forget what was edited and not committed."""
        self.candidate = self.running
        self._carrying = None

    # -------------------------------------------------------------- operations

    def lock(self, session: str) -> None:
        """Take the lock."""
        if self.denies_locks and self.pending:
            raise DeviceBusyError("in-use (outstanding-confirmed-commit): a confirmed commit is pending")
        if self.keeps_candidate and not self.lock_holder and self.candidate != self.running:
            raise UncommittedEditsError(f"{self.station}: its candidate holds edits that somebody else did not commit")
        if self.lock_holder:
            raise DeviceBusyError(f"session {self.lock_holder} holds the lock", self.lock_holder)
        self.lock_holder = session

    def unlock(self, session: str) -> None:
        """Release the lock; like many servers, discard what was not committed."""
        if self.lock_holder != session:
            raise DeviceRefusedError("operation-failed: the lock is not this session's")
        self.lock_holder = ""
        self.discard()

    def edit(self, session: str, edits: Sequence[Edit]) -> None:
        """Edit the candidate, or running where there is none."""
        self._check_lock(session)
        base = self.candidate if self.capabilities.candidate else self.running
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
        self._check_lock(session)
        if self.pending:
            raise DeviceRefusedError("in-use: a confirmed commit with a persist token is pending")
        if self.capabilities.candidate:
            self._become(self.candidate)
            self._carry()

    def commit_confirmed(self, session: str, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:
        """Confirmed commit; one that follows keeps the first one's backup and sets a new deadline."""
        if not self.capabilities.confirmed_commit:
            raise DeviceRefusedError("operation-not-supported: confirmed-commit")
        self._check_lock(session)
        if follow_up is not None and follow_up is not self.follow_up:
            raise DeviceRefusedError("Persist ID given in confirmed commit rpc.", tag="invalid-value")
        if self.pending != (persist if follow_up else ""):
            raise DeviceRefusedError(f"invalid-value: the pending confirmed commit is {self.pending or 'none'}")
        backup = self._pending.backup if self._pending else self.running
        carried = self._pending.carried if self._pending else self.carried
        self._become(self.candidate)
        self._carry()
        self._pending = _Pending(persist, backup, carried, self._clock.monotonic() + timeout)

    def confirm(self, session: str, persist: str) -> None:
        """Confirming commit: it also commits whatever the candidate holds."""
        self._check_lock(session)
        self._check_persist(persist)
        self._become(self.candidate)
        self._carry()
        self._pending = None

    def cancel(self, session: str, persist: str) -> None:
        """Cancel the pending confirmed commit."""
        self._check_lock(session)
        self._check_persist(persist)
        self._revert()

    def _check_lock(self, session: str) -> None:
        if self.lock_holder not in ("", session):
            raise DeviceBusyError(f"in-use: session {self.lock_holder} holds the lock", self.lock_holder)

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

    def _revert_if_due(self) -> None:
        if self._pending and self._clock.monotonic() >= self._pending.deadline:
            self._revert()

    def _revert(self) -> None:
        """Take a pending confirmed commit back."""
        if self._pending:
            self._become(self._pending.backup)
            self.carried = self._pending.carried
        self._pending = None

    def _become(self, tree: Tree) -> None:
        """Make ``tree`` running, and note which cells and links it moves."""
        old = self.history[-1]
        for path, spec in self._specs(tree):
            if (spec.is_cell and _unlocked(spec, tree[path]) and not _unlocked(spec, old.get(path, {}))) or (
                spec.link and _below(tree, path) != _below(old, path)
            ):
                self._since[path] = self._clock.monotonic()
        if tree != old or list(tree) != list(old):
            self.history.append(dict(tree))

    def _specs(self, tree: Tree) -> list[tuple[Path, NodeSpec]]:
        return [(path, spec) for path in tree if (spec := spec_of(self.root, path))]

    def _state(self, tree: Tree, path: Path, spec: NodeSpec) -> dict[LeafName, Value]:
        if spec.name in self.untold:
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
        if spec.link:
            complete = {below.name for below in spec.children if below.single} <= {
                below[len(path) + 1 :].partition("[")[0] for below in _below(tree, path)
            }
            up = complete and settled and path not in self.broken_links
            up = up and spec.leaf(LeafRole.REMOTE_ADDRESS) in tree[path] and _unlocked(spec, tree[path])
            return {spec.leaf(LeafRole.OPERATIONAL_STATE): "ENABLED" if up else "DISABLED"}
        return {}


def _unlocked(spec: NodeSpec, leaves: Leaves) -> bool:
    leaf = spec.leaf_by_role.get(LeafRole.ADMINISTRATIVE_STATE)
    return leaf is None or leaves.get(leaf.name, leaf.default) == "UNLOCKED"


def _below(tree: Tree, path: Path) -> dict[Path, Leaves]:
    return {below: leaves for below, leaves in tree.items() if is_below(below, path)}
