"""Plans of a part of what is wanted: one tenant's nodes, or of these only what one slice needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.models.facts import HOST_OWNED, Owners
from controller.models.run import LedgerEntry
from controller.nrm.profiles import Rendered
from controller.nrm.schema import NodeSpec, spec_of
from controller.nrm.tree import Path, parent, step
from controller.plan.views import Limit, StationView


@dataclass(frozen=True, slots=True)
class Limited:
    """A station's plan within a limit.

    Attributes:
        rendered: What is wanted within the limit, and what is there of ours outside of it.
        view: The station without what is outside and gone.
        within: Paths within the limit.
        lacking: Nodes that the wanted ones stand in, and that are not there: somebody else's to bring.
    """

    rendered: Rendered
    view: StationView
    within: frozenset[Path]
    lacking: tuple[Path, ...]


def limited(root: NodeSpec, rendered: Rendered, view: StationView, limit: Limit) -> Limited:
    """Want within the limit what is wanted, and outside of it just what is there."""
    there = view.observed.tree if view.observed else {}
    before = {path: entry.owners for path, entry in view.ledger.items()}
    owners: Mapping[Path, Owners] = {**before, **rendered.owners}
    within = {
        path
        for path, found in owners.items()
        if found == before.get(path, found) == (limit.tenant,) and _names(root, limit, path)
    }
    lacking = []
    for path in sorted(within & rendered.tree.keys()):
        above = parent(path)
        while above and above not in there and above not in within:
            if owners.get(above) == (limit.tenant,) and above in rendered.tree:
                within.add(above)
            else:
                lacking.append(above)
                break
            above = parent(above)
    kept = [path for path in there if path not in within and path in owners]
    tree = {path: dict(there[path]) for path in kept if path not in rendered.tree}
    for path, leaves in rendered.tree.items():
        if path in within:
            tree[path] = leaves
        elif path in there:
            tree[path] = dict(there[path])
    ledger: dict[Path, LedgerEntry] = {
        path: entry for path, entry in view.ledger.items() if path in within or path in there
    }
    wanted = Rendered(tree, {path: owners.get(path, HOST_OWNED) for path in tree}, rendered.findings)
    return Limited(wanted, replace(view, ledger=ledger), frozenset(within), tuple(dict.fromkeys(lacking)))


def _names(root: NodeSpec, limit: Limit, path: Path) -> bool:
    """Whether an entry is for the limit's slice, if that names one."""
    spec = spec_of(root, path)
    if limit.snssai is None or spec is None:
        return limit.snssai is None
    keys = dict(zip(spec.keys, step(path)[1], strict=True))
    return (keys.get("sd"), keys.get("sst")) == (limit.snssai.sd, str(limit.snssai.sst))
