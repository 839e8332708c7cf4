"""Plans: observed × desired → immutable, content-hashed Changes that people read and approve (pure)."""

from controller.plan.document import (
    Draft,
    Outline,
    PlanDifference,
    compare,
    json_parts,
    plan_digest,
    plan_from_json,
    plan_to_json,
    seal,
)
from controller.plan.drift import adopted_nodes, applied, carried_nodes, drift, drifted_nodes, ledger_nodes
from controller.plan.fleet import Planning, check_changes, check_removals, make_plan, wanted_by
from controller.plan.functions import (
    brought_to,
    coming_back,
    cordoned_change,
    image_in,
    latest_first,
    moved_change,
    pools_of,
    ready_on,
    reverted_change,
    scaled_change,
    serving_on,
)
from controller.plan.inputs import Limit, PlanOptions, StationView, under_hold, where_it_stands
from controller.plan.maintenance import (
    AdministrativeState,
    administrative_state_change,
    cycle_change,
    open_plmns_change,
    recreate_endpoints_change,
)
from controller.plan.routers import nodes_behind, ranks_of, switch_router_change
from controller.plan.rows import PlanRow, render_text
from controller.plan.sharing import CellTenant, Ledgers, SharedCell, shared_cells
from controller.plan.station import StationPlan, plan_station
from controller.plan.undo import undo_change, undo_job

__all__ = [
    "AdministrativeState",
    "CellTenant",
    "Draft",
    "Ledgers",
    "Limit",
    "Outline",
    "PlanDifference",
    "PlanOptions",
    "PlanRow",
    "Planning",
    "SharedCell",
    "StationPlan",
    "StationView",
    "administrative_state_change",
    "adopted_nodes",
    "applied",
    "brought_to",
    "carried_nodes",
    "check_changes",
    "check_removals",
    "coming_back",
    "compare",
    "cordoned_change",
    "cycle_change",
    "drift",
    "drifted_nodes",
    "image_in",
    "json_parts",
    "latest_first",
    "ledger_nodes",
    "make_plan",
    "moved_change",
    "nodes_behind",
    "open_plmns_change",
    "plan_digest",
    "plan_from_json",
    "plan_station",
    "plan_to_json",
    "pools_of",
    "ranks_of",
    "ready_on",
    "recreate_endpoints_change",
    "render_text",
    "reverted_change",
    "scaled_change",
    "seal",
    "serving_on",
    "shared_cells",
    "switch_router_change",
    "under_hold",
    "undo_change",
    "undo_job",
    "wanted_by",
    "where_it_stands",
]
