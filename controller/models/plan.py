"""Plans: immutable, content-hashed sets of Changes, which people read, approve and apply by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Literal, overload

from pydantic import AwareDatetime, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from controller.models.facts import Finding, Owners
from controller.models.network import Noun
from controller.models.outage import FOR_GOOD, NO_OUTAGE, Outage
from controller.models.packing import packed, unpacked

#: Version of the plan's JSON form; readers refuse versions that they don't know.
PLAN_FORMAT = 1

LeafValues = dict[str, str | tuple[str, ...]]


class Op(StrEnum):
    """NETCONF operation of an edit (RFC 6241 §7.2), always explicit."""

    CREATE = "create"
    MERGE = "merge"
    DELETE = "delete"


class Edit(Noun):
    """One edit of one list entry.

    Attributes:
        op: ``create`` makes the entry with its leaves, ``merge`` sets leaves of an existing entry, ``delete`` removes
            the entry with all below it.
        path: Path of the entry (see ``controller.nrm.tree``).
        before: Leaves replaced or removed, as read; empty for ``create``.
        after: Leaves as they will be; empty for ``delete``. A ``merge`` deletes leaves that are only in ``before``, so
            that they return to their default.
        owners: Owners of the node.
        after_sibling: For user-ordered lists: path of the sibling before it; None appends it, an empty string puts it
            first.
    """

    op: Op
    path: str
    before: LeafValues = Field(default_factory=dict)
    after: LeafValues = Field(default_factory=dict)
    owners: Owners
    after_sibling: str | None = None


class WaitFor(Noun):
    """What to wait for after a phase, before the next one.

    ``cell-on-air``/``cell-off-air``: the cell at ``path`` is (not) on air: not LOCKED, ENABLED and ACTIVE.
    ``link-up``: the core link at ``path`` is ENABLED. It may belong to another device that is reached through the
    changed one; then that device's id comes before the path. ``any-link-up``: one of the latter is ENABLED; it has no
    path. ``ready``: the function on the pool at ``path`` is ready.
    """

    kind: Literal["cell-on-air", "cell-off-air", "link-up", "any-link-up", "ready"]
    path: str
    tenant: str = ""

    @property
    def behind(self) -> str:
        """The device that the path is on if it is not the changed one; otherwise empty."""
        return self.path.partition("/")[0]


class PhaseKind(StrEnum):
    """Kind of a phase: some attributes can change only on a locked cell (lock → edit → unlock)."""

    LOCK = "lock"
    EDIT = "edit"
    UNLOCK = "unlock"


class Phase(Noun):
    """One edit-config and commit: edits, edits that take them back, and what to wait for."""

    kind: PhaseKind
    edits: tuple[Edit, ...]
    inverse: tuple[Edit, ...]
    wait: tuple[WaitFor, ...] = ()


class DiffRow(Noun):
    """One line of a diff for people: station, cell, tenant, what, before → after.

    Attributes:
        elsewhere: Whether it is about how the cell relates to others, as a neighbour relation or a frequency: it names
            what a tenant of the cell may not see.
    """

    cell: str
    tenant: str
    what: str
    before: str
    after: str
    elsewhere: bool = False


class LedgerNode(Noun):
    """A node that is ours after the change, with its owners and the leaves that we guard.

    Attributes:
        leaves: Its wanted leaves, without those at their default, and never its administrative state.
        first: Whether it is first in a user-ordered list, as the primary PLMN is.
    """

    path: str
    owners: Owners
    leaves: LeafValues = {}
    first: bool = False


class Fingerprint(Noun):
    """Hash over the nodes that a change edits and its checks read.

    Attributes:
        paths: Covered paths, sorted: an entry's path covers the entry with all below it, whether it exists or not;
            ``<entry>/<leaf>`` covers one leaf.
        digest: SHA-256 of their canonical form, hex.
    """

    paths: tuple[str, ...]
    digest: str


class Change(Noun):
    """The change of one station.

    Attributes:
        station: Station id.
        phases: Edits in order; each is committed (confirmed) on its own.
        diff: Diff for people.
        touched: Tenants whose nodes are edited, sorted.
        interrupted: Tenants whose service is interrupted although their nodes are not edited, sorted.
        outage: How long the worst cell is off the air, or the worst core link down.
        withdrawn: Cells of the station in which a tenant loses a PLMN for good, by tenant: an outage of that tenant
            only, although the cell stays on air (``controller.plan.withdrawal``).
        freed: Cells that a run of ours left locked when it diverged and that this change unlocks, by tenant on them.
        fingerprint: State of the device that must still hold under the lock.
        checks: Conditions that must hold after the last phase, before the confirm.
        gained: Nodes that enter the ledger when the change is confirmed.
        lost: Paths that leave the ledger.
        removes: Nodes deleted, by tenant (ledger nodes only).
        lowers: Tenants whose radio share becomes smaller than the ledger has it, each with the cell of the share (empty
            for the station). Set only where the station differs from the ledger in that; else the edits say it.
        left: Of an undo, entries that the run changed and that stay as they are, since something there changed later.
        as_of: Of an undo, when the newest job ended that had changed the station until then. It holds until another
            job changes the station, also where a further one then brings back what the plan found.
        restarts: Whether the device restarts by it, so that it may not come back where its power is in danger.
        reverts: Whether the device reverts by itself if nobody confirms the change. A device that does not has only its
            inverse, and changes last in its unit, unless that has an order of its own (``plan.routers.ranks_of``). It
            has no default: whoever makes a change asks what was read of its device (``Observed.reverts``).
    """

    station: str
    phases: tuple[Phase, ...]
    diff: tuple[DiffRow, ...]
    touched: tuple[str, ...]
    interrupted: tuple[str, ...] = ()
    outage: Outage = NO_OUTAGE
    fingerprint: Fingerprint
    checks: tuple[WaitFor, ...] = ()
    gained: tuple[LedgerNode, ...] = ()
    lost: tuple[str, ...] = ()
    removes: dict[str, int] = {}
    withdrawn: Annotated[dict[str, tuple[str, ...]], Field(exclude_if=lambda found: not found)] = {}
    freed: Annotated[dict[str, tuple[str, ...]], Field(exclude_if=lambda found: not found)] = {}
    lowers: Annotated[tuple[tuple[str, str], ...] | None, Field(exclude_if=lambda found: found is None)] = None
    left: Annotated[tuple[str, ...], Field(exclude_if=lambda found: not found)] = ()
    as_of: Annotated[AwareDatetime | None, Field(exclude_if=lambda found: found is None)] = None
    restarts: Annotated[bool, Field(exclude_if=lambda found: not found)] = False
    reverts: bool

    def outage_of(self, tenant: str) -> Outage:
        """The outage of a tenant whose service the change interrupts or takes away."""
        return FOR_GOOD if tenant in self.withdrawn else self.outage

    @property
    def worst_outage(self) -> Outage:
        """The outage of the tenant that is hit worst."""
        return FOR_GOOD if self.withdrawn else self.outage

    @property
    def only_unlocks(self) -> bool:
        """Whether it does nothing but unlock cells: nobody is on the air there, and service comes back."""
        return bool(self.phases) and all(phase.kind is PhaseKind.UNLOCK for phase in self.phases)

    @property
    def comes_back(self) -> bool:
        """Whether the station comes back with its function: what to edit is known once that is ready, by the ledger."""
        return not (self.phases or self.gained or self.lost)


class Changes(Sequence[Change]):
    """Changes of a plan, one for each station, kept in the packed form of the record and unpacked at each access.

    Unpacked, those of a whole network would take seventy times as much memory, which is gigabytes.

    Args:
        packed: Changes that were packed, by station, in order.
    """

    __slots__ = ("packed",)

    def __init__(self, packed: Mapping[str, bytes]) -> None:
        self.packed = packed

    @classmethod
    def of(cls, changes: Iterable[Change]) -> Changes:
        """Pack changes in their order, unless they are packed already."""
        return changes if isinstance(changes, cls) else cls({change.station: packed(change) for change in changes})

    def on(self, station: str) -> Change | None:
        """The change of a station; None if there is none."""
        content = self.packed.get(station)
        return None if content is None else unpacked(Change, content)

    def __len__(self) -> int:
        return len(self.packed)

    def __iter__(self) -> Iterator[Change]:
        return (unpacked(Change, content) for content in self.packed.values())

    @overload
    def __getitem__(self, index: int) -> Change: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Change]: ...

    def __getitem__(self, index: int | slice) -> Change | Sequence[Change]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return unpacked(Change, tuple(self.packed.values())[index])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Changes):
            return self.packed == other.packed
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self.packed))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """In JSON it is a list of changes."""
        changes = handler.generate_schema(tuple[Change, ...])
        return core_schema.no_info_wrap_validator_function(
            lambda given, validated: cls.of(given if isinstance(given, cls) else validated(given)),
            changes,
            serialization=core_schema.plain_serializer_function_ser_schema(tuple, return_schema=changes),
        )


class Orphans(Noun):
    """Nodes of ours that nothing asks for any more, and that a plan leaves on the devices, since nobody named them.

    Attributes:
        nodes: Number of these nodes, by owner.
        devices: Number of devices that carry them.
        remove: Nodes by owner, as a request has to name them so that its plan removes these too; without nodes that
            can't go, since they hold others that have to stay.
        expect_stations: Number of devices that the same request has to name; None if it need not name any.
        identities: Whether the same request has to let identities change, as that of this plan did.
        afterwards: Whether this plan has to be applied before that request.
    """

    nodes: dict[str, int]
    devices: int
    remove: dict[str, int] = {}
    expect_stations: int | None = None
    identities: bool = False
    afterwards: bool = False


class Extent(Noun):
    """What a plan comes to, in figures.

    Attributes:
        added: Nodes that it creates.
        changed: Nodes of which it changes leaves, apart from the administrative state of cells that it locks.
        removed: Nodes that it deletes, with those below them.
        cells_locked: Cells that it locks, for a while or for longer, so that they are off air.
        cells_unlocked: Cells that it unlocks and did not lock itself, so that they come on air; without those that it
            creates.
        people: Population of the sites of its devices, and of the stations behind them.
    """

    added: int
    changed: int
    removed: int
    cells_locked: int
    cells_unlocked: int
    people: int


class Plan(Noun):
    """An immutable set of Changes.

    ``id`` is the first 12 hex digits of ``digest``, the SHA-256 of the canonical JSON of everything
    but id, digest and created. Equal content has an equal id. ``undoes`` names the run that the plan takes back.
    """

    format: Literal[1] = 1
    id: str
    digest: str
    created: AwareDatetime
    network: str
    network_digest: str
    selector: str
    changes: Changes
    unchanged: tuple[str, ...] = ()
    unplanned: dict[str, str] = Field(
        default={}, description="Stations left out, with the reason (not adopted, unreachable, contract error, hold)."
    )
    observed_only: Annotated[
        tuple[str, ...],
        Field(
            exclude_if=lambda found: not found,
            description="Those of the devices left out that nobody adopted; absent if there are none.",
        ),
    ] = ()
    findings: tuple[Finding, ...] = ()
    removals: Annotated[dict[str, int], Field(description="Nodes removed by tenant, as named by the requester.")] = {}
    undoes: str = ""
    orphans: Annotated[
        Orphans | None,
        Field(
            exclude_if=lambda found: found is None,
            description="Nodes that nothing asks for any more and that stay; absent if there are none.",
        ),
    ] = None
    elsewhere: Annotated[
        int,
        Field(
            exclude_if=lambda found: not found,
            description="Number of contract warnings about the network as a whole that concern none of the devices, "
            "and are not among the findings; absent if there are none.",
        ),
    ] = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self.changes
