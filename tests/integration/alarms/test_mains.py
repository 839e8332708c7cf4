"""Lost mains, as stations of each vendor tell them, and a power unit, which is the host's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.alarm import AlarmSource
from controller.models.network import ExternalInput, network_digest
from tests.integration.alarms.system import LTE, LocalSystem, open_system, until

WIRED = (ExternalInput(input="mains", cause="mains-lost"), ExternalInput(input="battery", cause="on-battery"))


def _wire(system: LocalSystem) -> None:
    """Name the external inputs of all sites in the network files."""
    _, network = system.store.networks.get()
    sites = tuple(one.model_copy(update={"external_inputs": WIRED}) for one in network.sites)
    wired = network.model_copy(update={"sites": sites})
    system.store.networks.save(wired, network_digest(wired), "ana")


@pytest.mark.parametrize(
    ("profile", "wired", "source"),
    [
        ("standard", False, AlarmSource.ALARM_LIST),
        ("oran-fm-only", True, AlarmSource.CHECK),
        ("alarms-twice", True, AlarmSource.CHECK),
    ],
)
async def test_lost_mains_are_one_fault_whoever_tells_them(
    tmp_path: Path, profile: str, wired: bool, source: AlarmSource
) -> None:
    async with open_system(tmp_path, interval=0.5, profile=profile) as system:
        if wired:
            _wire(system)
        system.listen()
        await system.observed()
        station = system.fleet.stations[LTE].equipment
        station.begin_fault("mains-failure")
        station.begin_fault("power-supply")

        def standing() -> dict[str, str]:
            return {one.probable_cause: one.root for one in system.alarms(LTE) if one.cleared is None}

        unit = "o-ran-fault-26" if profile != "standard" else "3gpp-power-supply-failure"
        causes = {"mains-lost", unit} | ({"on-battery"} if wired else set())

        async def told() -> bool:
            return standing().keys() == causes

        await until(f"{causes} stand", told)
        (mains,) = (one for one in system.alarms(LTE) if one.probable_cause == "mains-lost")
        assert (mains.source, mains.object) == (source, "station")
        assert {cause for cause, root in standing().items() if root == mains.id} == causes - {"mains-lost"}
        station.faults.clear()

        async def over() -> bool:
            return not standing()

        await until("all is over", over)
