"""Taking all that is ours from a station that goes out of service."""

from __future__ import annotations

from collections.abc import Mapping

from controller.models.network import HOST
from controller.models.run import LedgerEntry
from controller.nrm.profiles import Rendered
from controller.nrm.tree import Observed, Path, parent
from controller.plan.station import StationPlan, plan_station
from controller.plan.views import PlanOptions, StationView


def removal_plan(
    station: str, profiles: tuple[str, ...], observed: Observed, ledger: Mapping[Path, LedgerEntry]
) -> StationPlan:
    """The change that removes every node of ours but the station's root, which is the factory's.

    Cells that are unlocked are locked first. What is not ours stays, and what of ours holds it.
    """
    roots = {path: dict(leaves) for path, leaves in observed.tree.items() if not parent(path)}
    kept = Rendered(roots, dict.fromkeys(roots, (HOST,)), ())
    owners = {owner for entry in ledger.values() for owner in entry.owners}
    view = StationView(observed, adopted=True, ledger=ledger)
    made = plan_station(station, profiles, kept, view, PlanOptions(remove=dict.fromkeys(owners, 1)))
    if made.change is None:
        return made
    lost = tuple(sorted({*made.change.lost, *(roots.keys() & ledger.keys())}))
    return StationPlan(made.change.model_copy(update={"lost": lost, "gained": ()}), "", made.findings)
