"""Repair of a core link: delete its endpoint and create it again as it was."""

from __future__ import annotations

from controller.models.errors import NotFoundError, PlanRefusedError
from controller.models.facts import Owners
from controller.models.network import HOST
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind, WaitFor
from controller.nrm.apply import apply_edits
from controller.nrm.fingerprint import fingerprint
from controller.nrm.inverse import invert
from controller.nrm.profiles import root_spec
from controller.nrm.schema import spec_of
from controller.nrm.tree import Observed, Path
from controller.plan.edits import ADMINISTRATIVE_STATE
from controller.plan.phases import LINK_SECONDS
from controller.plan.rows import contents, entry_name, row


def recreate_endpoint_change(
    station: str, profiles: tuple[str, ...], observed: Observed, path: Path, owners: Owners
) -> Change:
    """Two phases, each committed: the entry is deleted with all below, then created from what was read.

    The change is good when the link is up afterwards. The ledger stays as it is.

    Raises:
        NotFoundError: There is no core link at ``path``.
        PlanRefusedError: Somebody locked the link: that is a hold.
    """
    root = root_spec(profiles)
    spec = spec_of(root, path)
    if spec is None or spec.link is None or path not in observed.tree:
        raise NotFoundError(f"{station} has no core link {path}")
    name = entry_name(root, path)
    if observed.tree[path].get(ADMINISTRATIVE_STATE, "UNLOCKED") != "UNLOCKED":
        raise PlanRefusedError(f"{name} of {station} was locked by somebody: it is not touched")
    delete = (Edit(op=Op.DELETE, path=path, before=dict(observed.tree[path]), owners=owners),)
    create = invert(root, observed.tree, delete, {})
    without = apply_edits(root, observed.tree, delete)
    up = WaitFor(kind="link-up", path=path, tenant=", ".join(owners))
    words = contents(root, path, observed.tree[path])
    return Change(
        station=station,
        phases=(
            Phase(kind=PhaseKind.EDIT, edits=delete, inverse=create),
            Phase(kind=PhaseKind.EDIT, edits=create, inverse=invert(root, without, create, {}), wait=(up,)),
        ),
        diff=(row(path, owners, name, words, f"{words} (deleted and created again)"),),
        touched=tuple(sorted(set(owners) - {HOST})),
        outage_seconds=LINK_SECONDS,
        fingerprint=fingerprint(root, observed.tree, (path,)),
        checks=(up,),
    )
