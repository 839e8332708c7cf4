"""Plans: immutable, content-hashed sets of Changes that people read, approve and apply by id."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from controller.models.facts import Finding, Owners
from controller.models.network import Noun

#: Version of the plan's JSON form; readers refuse what they don't know.
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
        op: ``create`` makes the entry (with its leaves), ``merge`` sets leaves of an existing
            entry, ``delete`` removes the entry with all below.
        path: Path of the entry (see ``controller.nrm.tree``).
        before: Leaves replaced or removed, as read; empty for ``create``.
        after: Leaves as they will be; empty for ``delete``. A leaf only in ``before`` of a
            ``merge`` is deleted (it returns to its default).
        owners: Owners of the node.
        after_sibling: For user-ordered lists: path of the sibling it goes behind; None appends,
            an empty string puts it first.
    """

    op: Op
    path: str
    before: LeafValues = Field(default_factory=dict)
    after: LeafValues = Field(default_factory=dict)
    owners: Owners
    after_sibling: str | None = None


class WaitFor(Noun):
    """What to wait for after a phase, before the next.

    ``cell-on-air``/``cell-off-air``: the cell at ``path`` is (not) UNLOCKED, ENABLED and ACTIVE.
    ``link-up``: the core link at ``path`` is ENABLED.
    """

    kind: Literal["cell-on-air", "cell-off-air", "link-up"]
    path: str
    tenant: str = ""


class PhaseKind(StrEnum):
    """Role of a phase: some attributes change only on a locked cell (lock → edit → unlock)."""

    LOCK = "lock"
    EDIT = "edit"
    UNLOCK = "unlock"


class Phase(Noun):
    """One edit-config and commit: edits, the edits that take it back, and what to wait for."""

    kind: PhaseKind
    edits: tuple[Edit, ...]
    inverse: tuple[Edit, ...]
    wait: tuple[WaitFor, ...] = ()


class DiffRow(Noun):
    """One line of the human diff: station, cell, tenant, what, before → after."""

    cell: str
    tenant: str
    what: str
    before: str
    after: str


class LedgerNode(Noun):
    """A node that is ours after the change, for whom, and what we hold it to.

    Attributes:
        leaves: What we want of it; a leaf at its default is left out. Never its administrative state.
        first: Whether it stands first in a list ordered by user: the primary PLMN.
    """

    path: str
    owners: Owners
    leaves: LeafValues = {}
    first: bool = False


class Fingerprint(Noun):
    """Hash over the nodes a change edits and those its checks read.

    Attributes:
        paths: What the hash covers, sorted: an entry's path covers it with all below it, be it there
            or not; ``<entry>/<leaf>`` covers one leaf.
        digest: SHA-256 of their canonical form, hex.
    """

    paths: tuple[str, ...]
    digest: str


class Change(Noun):
    """What happens on one station.

    Attributes:
        station: Station id.
        phases: Edits in order; each is committed (confirmed) on its own.
        diff: Human diff.
        touched: Tenants whose nodes are edited, sorted.
        interrupted: Tenants whose service is interrupted although their nodes are not edited, sorted.
        outage_seconds: Expected seconds of outage of the worst cell.
        fingerprint: What must still be true under the lock.
        checks: What must hold after the last phase, before the confirm.
        gained: Nodes that enter the ledger when the change is confirmed.
        lost: Paths that leave the ledger.
        removes: Nodes deleted, by tenant (ledger nodes only).
        reverts: Whether the device reverts by itself where nobody confirms the change. One that does not is the weaker
            link of what is decided together: it has only its inverse, and changes last.
    """

    station: str
    phases: tuple[Phase, ...]
    diff: tuple[DiffRow, ...]
    touched: tuple[str, ...]
    interrupted: tuple[str, ...] = ()
    outage_seconds: int = 0
    fingerprint: Fingerprint
    checks: tuple[WaitFor, ...] = ()
    gained: tuple[LedgerNode, ...] = ()
    lost: tuple[str, ...] = ()
    removes: dict[str, int] = {}
    reverts: bool = True


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
    changes: tuple[Change, ...]
    unchanged: tuple[str, ...] = ()
    unplanned: dict[str, str] = Field(
        default={}, description="Stations left out, with the reason (not adopted, unreachable, contract error, hold)."
    )
    findings: tuple[Finding, ...] = ()
    removals: Annotated[dict[str, int], Field(description="Nodes removed by tenant, as named by the requester.")] = {}
    undoes: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self.changes
