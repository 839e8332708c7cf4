"""Facts of functions on their pools; ``controller.intent.placement`` chooses the pools."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from controller.intent.findings import Check, finding
from controller.intent.placement import OPEN, Closures, place
from controller.models.cloud import FunctionKind
from controller.models.facts import Finding, FunctionFact
from controller.models.network import Network
from controller.nrm.profiles.pool import priority_of


def function_facts(
    network: Network,
    as_of: date,
    functions: Collection[str],
    running: Mapping[str, Collection[str]] | None,
    closures: Closures = OPEN,
    applied: Mapping[str, int] | None = None,
) -> tuple[dict[str, FunctionFact], list[Finding]]:
    """Facts of placed functions, and findings about functions without a place.

    Args:
        network: The network as loaded.
        as_of: The day whose agreements count.
        functions: The wanted functions.
        running: Pools that functions run on, by function.
        closures: Pools that take no further functions.
        applied: Replicas that functions were applied with.
    """
    if not functions:
        return {}, []
    running = running or {}
    choices = place(network, as_of, running, closures, applied=applied or {}).choices
    facts, findings = {}, []
    for function in sorted(functions):
        findings += _on_pools_gone(network, function, running.get(function, ()))
        if choices[function].pool:
            facts[function] = function_fact(network, function, choices[function].pool)
        else:
            text = f"function {function} has no place: {choices[function].reason}"
            findings.append(finding(Check.FUNCTION_UNPLACED, text, station=function))
    return facts, findings


def _on_pools_gone(network: Network, function: str, pools: Collection[str]) -> list[Finding]:
    """Findings about pools of a function that the files do not have, which nobody reads: they may have a new id."""
    return [
        finding(
            Check.FUNCTION_POOL_GONE,
            f"function {function} is on record on {pool}, and the network files have no such pool: if it has a new id, "
            f"adopt that and {function}, and move {function} there; else load files that have {pool}",
            station=function,
        )
        for pool in sorted(pools)
        if pool not in network.pool_by_id
    ]


def function_fact(network: Network, function: str, pool: str) -> FunctionFact:
    """The fact of a function on a pool.

    Raises:
        KeyError: There is no such function, or its package is unknown.
    """
    known = network.function_by_id[function]
    package = network.package_by_id[known.package]
    user_plane = package.kind is FunctionKind.VCU_UP
    return FunctionFact(
        function=function,
        owner=known.side,
        pool=pool,
        package=package.id,
        image=package.image,
        replicas=known.replicas,
        cpus=package.cpus,
        memory_gb=package.memory_gb,
        hugepages_gb=package.hugepages_gb,
        accelerators=package.accelerators,
        ptp=package.ptp,
        priority=priority_of(package.kind),
        address=known.address or "",
        owners=(known.side,),
        mbps=round((package.gbps or 0) * 1000),
        network=known.side if user_plane else "",
        vlan=network.tenant_by_id[known.owner].core.vlan if user_plane and known.owner in network.tenant_by_id else 0,
    )
