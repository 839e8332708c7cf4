"""Profiles: how device families write facts.

``render`` turns the facts of one station into the device tree that it should carry. What the
entries of a tree are about (cells, links, PLMNs, their state) is answered by the functions of
``controller.nrm.profiles.lookup``, all offered here too.

The administrative state is read into trees (absent means its default, LOCKED for cells) and never
rendered: a plan that locks or unlocks a cell merges the leaf in a phase of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from controller.models.errors import NotFoundError
from controller.models.facts import HOST_OWNED, Fact, Finding, FunctionFact, Owners, PoolFact, RouterFacts
from controller.models.network import Rat
from controller.nrm.profiles import function, pool
from controller.nrm.profiles.base import FUNCTION_ID, Output, Profile, StationFacts, managed_element, tenant_of
from controller.nrm.profiles.lookup import (
    PROFILES,
    CellEntry,
    LinkEntry,
    administrative_leaf,
    administrative_state,
    broadcast_plmn,
    broadcast_rat,
    carriers_of,
    cell_of,
    cell_state,
    cells,
    default_of,
    is_carrier,
    is_link,
    is_midhaul,
    is_reserved,
    is_unlocked,
    is_user_plane,
    leaf_of,
    link_kind,
    link_locked,
    link_of,
    link_state,
    links,
    object_class,
    odd_state,
    plmn_lists,
    rat_of,
    register,
    share_parts,
    unreported,
)
from controller.nrm.profiles.measurement_job import JOB, MEASUREMENT_JOB, job_leaves
from controller.nrm.profiles.router import ROUTER, ROUTER_PROFILES, RouterProfile, render_router
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import LeafName, Path, Value, child

__all__ = [
    "FUNCTION_ID",
    "PROFILES",
    "ROUTER_PROFILES",
    "CellEntry",
    "LinkEntry",
    "Rendered",
    "administrative_leaf",
    "administrative_state",
    "broadcast_plmn",
    "broadcast_rat",
    "carriers_of",
    "cell_of",
    "cell_path",
    "cell_state",
    "cells",
    "default_of",
    "is_carrier",
    "is_link",
    "is_midhaul",
    "is_reserved",
    "is_unlocked",
    "is_user_plane",
    "leaf_of",
    "link_kind",
    "link_locked",
    "link_of",
    "link_state",
    "links",
    "object_class",
    "odd_state",
    "plmn_lists",
    "rat_of",
    "register",
    "render",
    "render_cloud",
    "render_routing",
    "root_spec",
    "router_profile",
    "share_parts",
    "unreported",
]


#: Roots of functions and pools, by profile.
_CLOUD: dict[str, NodeSpec] = {function.PROFILE: function.FUNCTION, pool.PROFILE: pool.POOL}


@dataclass(frozen=True)
class Rendered:
    """The desired tree of one device.

    Attributes:
        tree: The device tree, without leaves at their default.
        owners: Owners of every entry of the tree.
        findings: What the profiles can't express (``unenforceable``) or left out.
        primaries: Of what was applied, PLMNs on air that stood first in their cell's list.
    """

    tree: dict[Path, dict[LeafName, Value]]
    owners: dict[Path, Owners]
    findings: tuple[Finding, ...]
    primaries: frozenset[Path] = frozenset()


def root_spec(profiles: tuple[str, ...]) -> NodeSpec:
    """ManagedElement with the functions of all named profiles, in any order; or the root of another device.

    Raises:
        NotFoundError: There is no profile of that name.
    """
    return _root_spec(tuple(sorted(profiles)))


@lru_cache
def _root_spec(profiles: tuple[str, ...]) -> NodeSpec:
    if router_profile(profiles) is not None:
        return ROUTER
    if len(profiles) == 1 and profiles[0] in _CLOUD:
        return _CLOUD[profiles[0]]
    used = [_profile(name) for name in profiles]
    beside = {node.name: node for profile in used for node in profile.beside}
    return managed_element(tuple(one for profile in used for one in profile.functions), tuple(beside.values()))


def router_profile(profiles: tuple[str, ...]) -> RouterProfile | None:
    """The profile of a router; None for that of a station."""
    return ROUTER_PROFILES.get(profiles[0]) if len(profiles) == 1 else None


def render_routing(profiles: tuple[str, ...], facts: RouterFacts) -> Rendered:
    """The device tree of one router.

    Raises:
        NotFoundError: There is no router profile of that name.
    """
    profile = router_profile(profiles)
    if profile is None:
        raise NotFoundError(f"{', '.join(profiles)} is not a router platform; known: {', '.join(ROUTER_PROFILES)}")
    out = render_router(profile, facts)
    return Rendered(out.tree, out.owners, tuple(out.findings))


def render_cloud(fact: FunctionFact | PoolFact) -> Rendered:
    """The device tree of one function or pool."""
    out = function.render_function(fact) if isinstance(fact, FunctionFact) else pool.render_pool(fact)
    return Rendered(out.tree, out.owners, tuple(out.findings))


def render(profiles: tuple[str, ...], facts: Sequence[Fact]) -> Rendered:
    """The device tree of one station; the order of facts and profiles does not matter.

    Raises:
        ValueError: The facts are not those of exactly one station.
        NotFoundError: There is no profile of that name.
    """
    grouped = StationFacts.of(facts)
    out = Output(grouped.station.station)
    root = root_spec(profiles)
    element = out.add(root, "", (out.station,), owners=HOST_OWNED)
    used = [_profile(name) for name in sorted(profiles)]
    for profile in used:
        profile.render(grouped, element, out)
    families = [family for profile in used for family in profile.families]
    if grouped.measurements is not None and families:
        leaves = job_leaves(grouped.measurements, families)
        out.add(MEASUREMENT_JOB, element, (JOB,), leaves, grouped.measurements.owners)
    _find_left_out(grouped, used, out)
    findings = sorted(out.findings, key=lambda f: (f.cell, f.tenant, f.code, f.message))
    return Rendered(out.tree, out.owners, tuple(findings))


def cell_path(profiles: tuple[str, ...], station: str, cell: str, rat: Rat, band: str) -> Path:
    """Path of the entry with a cell's states (the band distinguishes FDD from TDD on LTE).

    Raises:
        NotFoundError: None of the profiles has cells of this radio technology.
    """
    for name in profiles:
        profile = _profile(name)
        if profile.rat is rat:
            return profile.cell_path(child("", "ManagedElement", station), cell, band)
    raise NotFoundError(f"none of the profiles {', '.join(profiles)} of {station} has {rat} cells")


def _profile(name: str) -> Profile:
    try:
        return PROFILES[name]
    except KeyError:
        raise NotFoundError(f"there is no profile {name}; there are {', '.join(sorted(PROFILES))}") from None


def _find_left_out(facts: StationFacts, used: Sequence[Profile], out: Output) -> None:
    names = ", ".join(profile.name for profile in used)
    rats = {profile.rat for profile in used}
    links = {(profile.rat, kind) for profile in used for kind in profile.links}
    for cell in facts.cells:
        where = f"cell {cell.station}/{cell.cell}"
        if cell.rat not in rats:
            out.find("unenforceable", f"{where} is {cell.rat}, which {names} can't express", cell=cell.cell)
        elif cell.cell not in facts.broadcasts:
            out.find("cell-without-plmn", f"{where} has no PLMN to broadcast and is left out", cell=cell.cell)
    for link in facts.links:
        if (link.rat, link.kind) not in links:
            tenant = tenant_of(link.owners)
            message = f"{tenant}'s {link.kind} link {link.id} of {link.station} can't be expressed by {names}"
            out.find("unenforceable", message, tenant=tenant)
