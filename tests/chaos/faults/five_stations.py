"""What the fault tests share: five stations, changes of all of them, and workers that are odd in one way."""

from __future__ import annotations

import itertools
from typing import Any

from controller.models.plan import Plan
from tests.support.minka import ROOT
from tests.support.process_system import ProcessSystem

FIVE = ROOT / "tests" / "fixtures" / "networks" / "five"
#: In the order in which they are worked on, one by one.
STATIONS = ("T-BOTH-1", "T-LTE-1", "T-LTE-2", "T-LTE-3", "T-NR-1")
THIRD = STATIONS[2]
#: One station a wave, and the first failure stops the run.
ONE_BY_ONE = {"canary": 0, "wave_size": 1, "stop_after": 1}

_shares = itertools.count(1)
_names = itertools.count(1)
_TENANTS = (FIVE / "tenants.yaml").read_text(encoding="utf-8")
_AGREEMENTS = (FIVE / "agreements.yaml").read_text(encoding="utf-8")


def brought_up(system: ProcessSystem) -> None:
    """Adopt all stations and let them carry the network."""
    system.load(FIVE)
    system.call("POST", "/devices/adopt", {"selector": "*"})
    run = system.apply(system.plan())
    assert system.ended(run).counts == {"succeeded": len(STATIONS)}, system.store.runs.jobs(run)


def change_files(system: ProcessSystem) -> None:
    """Load new network files: another share for two tenants everywhere.

    Shares only grow, up to a half: what takes from a tenant needs that tenant's yes.
    """
    files = system.files(FIVE, agreements_yaml=_AGREEMENTS.replace("min: 20", f"min: {20 + next(_shares)}"))
    system.call("PUT", "/network", files)


def renamed_files(system: ProcessSystem) -> dict[str, Any]:
    """New network files in which a tenant has another name, as the API takes them; there are any number of them."""
    return system.files(FIVE, tenants_yaml=_TENANTS.replace("Andes Movil", f"Andes {next(_names)}"))


def change(system: ProcessSystem, selector: str = "*") -> Plan:
    """A plan of something new for the selected stations."""
    change_files(system)
    plan = system.plan(selector)
    assert plan.changes, (plan.unplanned, plan.findings)
    return plan


def odd_worker(system: ProcessSystem, name: str, *words: str) -> None:
    """Start a worker that is odd; see ``tests.chaos.faults.odd_worker``."""
    system.commands[name] = ["tests.chaos.faults.odd_worker", *words, "worker", "--name", name]
    try:
        system.start_worker(name)
    finally:
        del system.commands[name]
