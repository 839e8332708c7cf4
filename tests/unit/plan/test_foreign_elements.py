"""A station that carries another managed element than its own is not taken for an empty one."""

from __future__ import annotations

import pytest

from controller.inventory.frame import Frame
from controller.models.network import Network, network_digest
from controller.nrm import namespaces as ns
from controller.nrm.containers import foreign_elements
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Observed
from controller.plan import StationView, drift
from controller.plan.drift import applied
from controller.plan.network_import import import_network
from controller.ports.devices import DeviceTarget
from controller.runs.planning.planner import Planner
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import STATION, TARGET, InstantStore, TransactionBench, add_tenant

ROOT = root_spec(samples.PROFILES)
OTHER = Observed({}, unknown=(f"/{{{ns.MANAGED_ELEMENT}}}ManagedElement[ran1]",))


def test_it_is_known_by_the_missing_of_its_own() -> None:
    assert foreign_elements(ROOT, OTHER) == ("ran1",)
    assert foreign_elements(ROOT, Observed({})) == ()
    own = samples.carrying(samples.network())
    assert foreign_elements(ROOT, Observed(own.tree, unknown=OTHER.unknown)) == ()


def test_a_plan_makes_nothing_beside_it() -> None:
    made = samples.plan(samples.network(), {STATION: StationView(OTHER, adopted=True)})
    assert made.is_empty
    assert "ManagedElement=ran1" in made.unplanned[STATION]
    (told,) = [finding for finding in made.findings if finding.code == "foreign-element"]
    assert f"ManagedElement={STATION}" in told.message
    assert samples.only_change(samples.plan(samples.network(), {STATION: samples.factory()}))


def test_drift_names_it() -> None:
    rows = drift(ROOT, applied({}), StationView(OTHER, adopted=True))
    assert [row.what for row in rows] == ["ManagedElement ran1"]


def test_an_import_names_it() -> None:
    found = import_network(Frame(samples.network(), ()), {STATION: OTHER}, samples.DAY)
    assert any("ManagedElement=ran1" in note for note in found.notes)
    assert found.network.stations == ()


async def test_it_is_not_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = TransactionBench(add_tenant())
    monkeypatch.setattr(bench.device, "observe", lambda: OTHER)

    def target(_network: Network, _station: str) -> DeviceTarget:
        return TARGET

    planner = Planner(InstantStore(bench.store), bench.devices, bench.clock, target)
    bench.store.networks.save(samples.network(), network_digest(samples.network()), "ana")
    said = await planner.adopt(STATION, "ana")
    assert said[STATION].startswith("not adopted: it carries ManagedElement=ran1")
    assert bench.store.devices.find([STATION]) == {}
