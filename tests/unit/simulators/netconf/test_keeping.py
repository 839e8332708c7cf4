"""A fleet that is stopped and started again has the configuration that its stations would have after a power cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulators.clock import VirtualClock
from simulators.fleet.persistence import SavedConfigs
from simulators.fleet.transport import Transport
from simulators.history import ITSELF
from simulators.netconf.profiles import STANDARD
from simulators.routers.factory import Provisioning
from simulators.routers.router import Router
from simulators.station import Station, StationSettings
from tests.unit.simulators.netconf.bench import Client, make_station, tiny

STATION = "T-LTE-1"
STARTUP = StationSettings(profile=replace(STANDARD, startup=True))


async def label(station: Station) -> str | None:
    return await (await Client(station).greeted()).label()


async def after_a_stop(folder: Path, edit: str, settings: StationSettings | None = None) -> Station:
    """Another life of a station that took a label and carried out an operation."""
    station = make_station(VirtualClock(), settings)
    keeper = SavedConfigs(folder, [station])
    keeper.start()
    client = await Client(station).greeted()
    await client.set_label("new")
    await client.ok(edit)
    await keeper.close()
    again = make_station(VirtualClock(), settings)
    kept = SavedConfigs(folder, [again])
    kept.start()
    await kept.close()
    return again


async def test_what_was_committed_is_there_again(tmp_path: Path) -> None:
    again = await after_a_stop(tmp_path / "kept", "<commit/>")
    assert await label(again) == "new"
    file = tmp_path / "kept" / f"{STATION}.txt"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_what_waited_for_its_confirmation_is_not(tmp_path: Path) -> None:
    assert await label(await after_a_stop(tmp_path, "<commit><confirmed/></commit>")) == STATION


async def test_a_station_with_startup_has_what_was_copied_there(tmp_path: Path) -> None:
    assert await label(await after_a_stop(tmp_path / "a", "<commit/>", STARTUP)) == STATION
    station = make_station(VirtualClock(), STARTUP)
    keeper = SavedConfigs(tmp_path / "b", [station])
    keeper.start()
    client = await Client(station).greeted()
    await client.set_label("new")
    await client.ok("<commit/>")
    await client.ok("<copy-config><target><startup/></target><source><running/></source></copy-config>")
    await keeper.close()
    again = make_station(VirtualClock(), STARTUP)
    kept = SavedConfigs(tmp_path / "b", [again])
    kept.start()
    await kept.close()
    assert await label(again) == "new"
    again.datastores.restart()
    assert await label(again) == "new"


@pytest.mark.parametrize("provisioning", Provisioning)
async def test_a_router_has_what_was_saved(tmp_path: Path, provisioning: Provisioning) -> None:
    async def life() -> tuple[Router, SavedConfigs]:
        (router,) = list(Transport(tiny(), VirtualClock(), seed="s", routers=provisioning).routers.values())[:1]
        keeper = SavedConfigs(tmp_path, [router])
        keeper.start()
        return router, keeper

    router, keeper = await life()
    router.foreign_edit(["vrf definition kept", "rd 65000:999", "interface gi0/0/1", "description saved"])
    router.save(ITSELF)
    saved = router.running
    router.foreign_edit(["interface gi0/0/1", "description lost"])
    await keeper.close()
    again, keeper = await life()
    await keeper.close()
    assert again.running == again.startup == saved


async def test_a_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / f"{STATION}.txt").write_text('<data><unknown xmlns="urn:x"/></data>')
    with pytest.raises(ValueError, match=rf"{STATION}\.txt does not fit {STATION}.*remove it"):
        SavedConfigs(tmp_path, [make_station(VirtualClock())]).start()
