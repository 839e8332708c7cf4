"""Changes that follow from no network file: move or scale functions, take nodes out of use. Pure.

A function moves as it was applied; newer network files wait for a plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from controller.models.errors import ConflictError, PlanRefusedError, UnreachableError
from controller.models.health import ServiceState
from controller.models.network import HOST
from controller.models.plan import Change, Op
from controller.models.run import LedgerEntry
from controller.nrm.fingerprint import fingerprint
from controller.nrm.profiles import Rendered, root_spec
from controller.nrm.profiles.function import (
    DEPLOYMENT,
    DISRUPTION,
    PROFILE,
    deployment_path,
    ready_state,
    serves,
    with_replicas,
)
from controller.nrm.profiles.pool import POOL, node_path
from controller.nrm.profiles.pool import PROFILE as POOL_PROFILE
from controller.nrm.tree import Observed, Path, child, class_of, parent, step
from controller.plan.drift import applied
from controller.plan.inputs import PlanOptions, StationView
from controller.plan.rows import NOTHING, row
from controller.plan.station import plan_station


def pools_of(paths: Iterable[Path]) -> tuple[str, ...]:
    """Pools of a function by nodes of its tree, such as its ledger's, in order."""
    return tuple(sorted(step(path)[1][0] for path in paths if class_of(path) == DEPLOYMENT.name))


def brought_to(changes: Iterable[Change]) -> list[str]:
    """Pools on which changes made a function, in order."""
    made = (edit.path for change in changes for phase in change.phases for edit in phase.edits if edit.op is Op.CREATE)
    return [pool for path in made for pool in pools_of([path])]


def latest_first(pools: Iterable[str], changes: Iterable[Change]) -> tuple[str, ...]:
    """Pools of a function, the one that it came to last first, by its changes in order."""
    came = {pool: number for number, pool in enumerate(brought_to(changes))}
    return tuple(sorted(pools, key=lambda pool: came.get(pool, -1), reverse=True))


def ready_on(function: str, observed: Observed, pools: Iterable[str]) -> tuple[str, ...]:
    """Those of the pools on which a function is ready."""
    at = ((pool, deployment_path(function, pool)) for pool in pools)
    return tuple(pool for pool, path in at if ready_state(observed, path) is ServiceState.UP)


def serving_on(function: str, observed: Observed, pools: Iterable[str]) -> tuple[str, ...]:
    """Pools on which a function serves: those where it is ready, or else those where some replicas are."""
    at = ((pool, deployment_path(function, pool)) for pool in pools)
    return ready_on(function, observed, pools) or tuple(pool for pool, path in at if serves(observed, path))


def moved_change(
    function: str,
    observed: Observed,
    ledger: Mapping[Path, LedgerEntry],
    pool: str,
    served: Collection[str],
) -> Change | None:
    """A change that leaves a function on one pool only, as it was applied; None if it is so already.

    What is on a pool that does not answer stays, in the ledger too.

    Args:
        function: Its id.
        observed: What its pools say.
        ledger: What we applied.
        pool: Where it goes, or stays.
        served: Tenants whose stations it serves.

    Raises:
        ConflictError: It was never applied.
        PlanRefusedError: It can't be changed so.
        UnreachableError: No pool answers that it is to be on.
    """
    here = pools_of(ledger)
    if not here:
        raise ConflictError(f"{function} is on no pool: instantiate it first")
    of = pool if pool in here else here[0]
    was = applied(ledger)
    names = {path: _on(path, of, pool) for path in was.tree if _pool(path) in ("", of)}
    tree = {new: dict(was.tree[path]) for path, new in names.items()}
    owners = {new: was.owners[path] for path, new in names.items()}
    return _change(function, observed, ledger, Rendered(tree, owners, ()), served)


def scaled_change(
    function: str, observed: Observed, ledger: Mapping[Path, LedgerEntry], replicas: int, served: Collection[str]
) -> Change | None:
    """A change of a function's number of replicas on its pool; raises the errors of ``moved_change``."""
    was = applied(ledger)
    if not pools_of(ledger):
        raise ConflictError(f"{function} is on no pool: instantiate it first")
    tree = {path: with_replicas(path, leaves, replicas) for path, leaves in was.tree.items()}
    return _change(function, observed, ledger, replace(was, tree=tree), served)


def reverted_change(
    function: str,
    observed: Observed,
    ledger: Mapping[Path, LedgerEntry],
    before: Mapping[Path, LedgerEntry],
    served: Collection[str],
) -> Change | None:
    """A change of a function back to an earlier ledger, on its pool with its replicas; raises as ``moved_change``."""
    here, there = pools_of(ledger), pools_of(before)
    if not here:
        raise ConflictError(f"{function} is on no pool: instantiate it first")
    was, replicas = applied(before), ledger[deployment_path(function, here[0])].leaves.get("replicas", "1")
    names = {path: _on(path, there[0], here[0]) for path in was.tree if _pool(path) in ("", there[0])}
    tree = {new: with_replicas(new, was.tree[path], int(str(replicas))) for path, new in names.items()}
    owners = {new: was.owners[path] for path, new in names.items()}
    return _change(function, observed, ledger, Rendered(tree, owners, ()), served)


def coming_back(station: str, function: str, ledger: Mapping[Path, LedgerEntry]) -> Change:
    """A station that loses its configuration with its function's pod: what was applied there comes once that is ready.

    Args:
        station: Its id.
        function: The function that it lives in.
        ledger: What we applied; where that is nothing, it gets what the network files say.
    """
    nodes = Counter(owner for entry in ledger.values() for owner in entry.owners)
    after = f"the same, once {function} is ready"
    rows = [row("", (owner,), "configuration", f"{count} nodes", after) for owner, count in sorted(nodes.items())]
    new = row("", (), "configuration", NOTHING, f"what the network files say, once {function} is ready")
    return Change(
        station=station,
        phases=(),
        diff=tuple(rows) or (new,),
        touched=tuple(sorted(nodes.keys() - {HOST})),
        fingerprint=fingerprint(root_spec(()), {}, ()),
        # It edits nothing. The change that brings the configuration back is made of what the station says then.
        reverts=True,
    )


def image_in(ledger: Mapping[Path, LedgerEntry]) -> str:
    """The image that a function was applied with; empty if it is on no pool."""
    deployments = (entry for path, entry in ledger.items() if class_of(path) == DEPLOYMENT.name)
    return next((str(entry.leaves.get("image", "")) for entry in deployments), "")


def replicas_in(ledger: Mapping[Path, LedgerEntry]) -> int:
    """The number of replicas that a function was applied with; 0 if it is on no pool."""
    deployments = (entry for path, entry in ledger.items() if class_of(path) == DEPLOYMENT.name)
    return max((int(str(entry.leaves.get("replicas", "1"))) for entry in deployments), default=0)


def cordoned_change(
    pool: str, observed: Observed, ledger: Mapping[Path, LedgerEntry], node: str, *, cordoned: bool
) -> Change | None:
    """A change that takes a pool's node out of use, or back as far as Minka took it out; None if it is so already.

    It touches that node alone: what drifted elsewhere in the pool stays for who asks for that.

    Raises:
        PlanRefusedError: It can't be changed so.
    """
    root, path = child("", POOL.name, pool), node_path(pool, node)
    ledger = {one: entry for one, entry in ledger.items() if one in (root, path)}
    was = applied(ledger)
    tree = {root: {}, **was.tree}
    owners = {root: (HOST,), **was.owners}
    if cordoned:
        tree[path], owners[path] = {"unschedulable": "true"}, (HOST,)
    else:
        tree.pop(path, None)
        owners.pop(path, None)
    return _change(pool, observed, ledger, Rendered(tree, owners, ()), (), POOL_PROFILE)


def _change(
    function: str,
    observed: Observed,
    ledger: Mapping[Path, LedgerEntry],
    wanted: Rendered,
    served: Collection[str],
    profile: str = PROFILE,
) -> Change | None:
    """The change to the wanted tree; nodes of ours elsewhere may be removed."""
    at = [observed.unseen(path) for path in wanted.tree if class_of(path) == DEPLOYMENT.name]
    if at and all(at):
        raise UnreachableError(at[0])
    owners = {owner for entry in ledger.values() for owner in entry.owners}
    view = StationView(observed, adopted=True, ledger=ledger, served=frozenset(served))
    made = plan_station(function, (profile,), wanted, view, PlanOptions(remove=dict.fromkeys(owners, 1)))
    if made.reason:
        raise PlanRefusedError(f"{function}: {made.reason}")
    return made.change or _forgotten(function, observed, ledger, wanted, profile)


def _forgotten(
    function: str, observed: Observed, ledger: Mapping[Path, LedgerEntry], wanted: Rendered, profile: str
) -> Change | None:
    """A change of the ledger alone: nodes that are neither there nor wanted, after a change with unknown result."""
    lost = [
        path for path in ledger if path not in observed.tree and path not in wanted.tree and not observed.unseen(path)
    ]
    if not lost:
        return None
    unchanged = fingerprint(root_spec((profile,)), observed.tree, lost)
    return Change(
        station=function,
        phases=(),
        diff=(),
        touched=(),
        fingerprint=unchanged,
        lost=tuple(sorted(lost)),
        reverts=observed.reverts(0),
    )


def _pool(path: Path) -> str:
    """The pool of a node in a function's tree; empty for the function itself."""
    while path and class_of(path) not in (DEPLOYMENT.name, DISRUPTION.name):
        path = parent(path)
    return step(path)[1][0] if path else ""


def _on(path: Path, old: str, new: str) -> Path:
    """The same node on another pool."""
    for node in (DEPLOYMENT, DISRUPTION):
        path = path.replace(f"/{node.name}[{old}]", f"/{node.name}[{new}]")
    return path
