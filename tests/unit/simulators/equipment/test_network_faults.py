"""Network faults: what each does, what cures it, and that all of it follows from the seed."""

from __future__ import annotations

import pytest

from simulators.clock import VirtualClock
from simulators.datastore import RpcError
from simulators.equipment.equipment import ASKED_FOR, POWER_ON
from simulators.equipment.fault_kinds import HOUR, NETWORK_FAULTS, Place, Remedy
from simulators.equipment.faults import NetworkFault, UnknownFaultError
from simulators.history import EventKind
from simulators.station import Station, StationSettings
from tests.unit.simulators.equipment.stations import (
    SETTLED,
    alarm_ids,
    bare,
    cell_states,
    configure,
    lively,
    set_cell,
)
from tests.unit.simulators.netconf.bench import BASE, DELETE, Client, link, s1u, within_enb

#: Faults of equipment: alarm ids at once, cells on air at once.
AT_ONCE = {
    "cell-down": ([1002], 0),
    "sleeping-cell": ([], 1),
    "radio-unit-lost": ([1002], 0),
    "interface-unit": ([30], 1),
    "vswr": ([9], 1),
    "sfp": ([29, 1002], 0),
    "sync-lost": ([17], 1),
    "high-temperature": ([1], 1),
    "fan": ([5], 1),
    "mains-failure": ([1006], 1),
    "power-supply": ([26], 1),
    "core-link-down": ([1001, 1005], 1),
    "core-links-down": ([1001, 1001, 1005, 1005], 1),
    "licence-gone": ([1002, 1003], 0),
    "wrong-software": ([1004], 1),
}


def begin(station: Station, name: str, remedy: Remedy, *, helps: bool) -> NetworkFault:
    """A fault with the fate that is wanted, found by trying seeds."""
    for seed in range(200):
        trouble = station.equipment.begin_fault(name, seed=str(seed))
        if (remedy in trouble.helps) is helps:
            return trouble
        station.equipment.faults.end(trouble)
    raise AssertionError(f"no seed lets {remedy} be {helps} for {name}")


def healthy(station: Station, clock: VirtualClock) -> bool:
    clock.advance(SETTLED)
    summary = station.summary()
    return (summary["cells_on_air"], summary["links_up"], summary["alarms"]) == (1, 4, 0)


@pytest.mark.parametrize("name", AT_ONCE)
def test_fault_names_its_alarms_and_its_effect(station: Station, clock: VirtualClock, name: str) -> None:
    station.equipment.begin_fault(name)
    alarms, on_air = AT_ONCE[name]
    assert (alarm_ids(station), station.summary()["cells_on_air"]) == (alarms, on_air)
    assert station.summary()["network_faults"] == 1


@pytest.mark.parametrize("name", AT_ONCE)
def test_visit_cures_everything(station: Station, clock: VirtualClock, name: str) -> None:
    station.equipment.begin_fault(name)
    clock.advance(5)
    assert station.equipment.faults.clear() == 1
    assert healthy(station, clock)
    kinds = [event.kind for event in station.history.events()]
    assert kinds.count(EventKind.ALARM_RAISED) == kinds.count(EventKind.ALARM_CLEARED) == len(AT_ONCE[name][0])


@pytest.mark.parametrize("name", [name for name, row in NETWORK_FAULTS.items() if row.lasts and name in AT_ONCE])
def test_fault_that_lasts_ends_by_itself(station: Station, clock: VirtualClock, name: str) -> None:
    trouble = station.equipment.begin_fault(name)
    assert trouble.lasts is not None
    clock.advance(trouble.lasts - 1)
    assert station.summary()["network_faults"] == 1
    clock.advance(1)
    assert healthy(station, clock)


@pytest.mark.parametrize("helps", [True, False])
@pytest.mark.parametrize("name", ["cell-down", "sleeping-cell"])
def test_locking_and_unlocking_may_help(station: Station, clock: VirtualClock, name: str, helps: bool) -> None:
    begin(station, name, Remedy.LOCK_UNLOCK, helps=helps)
    set_cell(station, administrativeState="LOCKED")
    assert station.summary()["network_faults"] == 1
    assert 1002 not in alarm_ids(station)
    set_cell(station, administrativeState="UNLOCKED")
    assert station.summary()["network_faults"] == (0 if helps else 1)
    assert healthy(station, clock) is (helps or name == "sleeping-cell")


@pytest.mark.parametrize("helps", [True, False])
def test_resetting_the_unit_may_help_after_a_while(station: Station, clock: VirtualClock, helps: bool) -> None:
    trouble = begin(station, "radio-unit-lost", Remedy.RESET_UNIT, helps=helps)
    station.equipment.reset_unit("ru-1")
    clock.advance(19)
    assert station.summary()["network_faults"] == 1
    clock.advance(trouble.helps.get(Remedy.RESET_UNIT, 90.0))
    assert healthy(station, clock) is helps


@pytest.mark.parametrize("helps", [True, False])
def test_recreating_a_link_may_help(station: Station, clock: VirtualClock, helps: bool) -> None:
    begin(station, "core-link-down", Remedy.RECREATE_LINK, helps=helps)
    andes = "EP_S1C=andes-mme-1" in next(iter(station.equipment.faults)).links
    mme, end = ("andes-mme-1", "andes-s1u") if andes else ("condor-mme-1", "condor-s1u")
    recreated = link() + s1u() if andes else link(mme, "10.42.0.1", 102) + s1u(end, 102)
    gone = within_enb(f"<EP_S1C{DELETE}><id>{mme}</id></EP_S1C><EP_S1U{DELETE}><id>{end}</id></EP_S1U>")
    configure(station, gone.replace("<ManagedElement", f'<ManagedElement xmlns:nc="{BASE}"', 1))
    configure(station, within_enb(recreated))
    assert healthy(station, clock) is helps
    assert station.summary()["network_faults"] == (0 if helps else 1)


@pytest.mark.parametrize("helps", [True, False])
def test_reloading_the_licence_may_help(station: Station, clock: VirtualClock, helps: bool) -> None:
    begin(station, "licence-gone", Remedy.RELOAD_LICENCE, helps=helps)
    station.equipment.reload_licence()
    clock.advance(40)
    assert healthy(station, clock) is helps


@pytest.mark.parametrize("helps", [True, False])
def test_restart_may_help(station: Station, clock: VirtualClock, helps: bool) -> None:
    begin(station, "cell-down", Remedy.RESTART, helps=helps)
    station.restart()
    assert healthy(station, clock) is helps


@pytest.mark.parametrize(("cause", "by"), [(ASKED_FOR, Remedy.RESTART), (POWER_ON, None)])
def test_who_cured_a_fault_is_known_and_power_is_no_remedy(
    station: Station, clock: VirtualClock, cause: str, by: Remedy | None
) -> None:
    fault = begin(station, "cell-down", Remedy.RESTART, helps=True)
    station.restart(cause)
    assert healthy(station, clock)
    assert fault.cured_by is by
    visited = begin(station, "cell-down", Remedy.RESTART, helps=True)
    station.equipment.faults.clear()
    assert visited.cured_by is None


def test_nothing_but_a_visit_cures_vswr(station: Station, clock: VirtualClock) -> None:
    station.equipment.begin_fault("vswr")
    set_cell(station, administrativeState="LOCKED")
    set_cell(station, administrativeState="UNLOCKED")
    station.equipment.reset_unit("ru-1")
    station.restart()
    clock.advance(100 * HOUR)
    assert alarm_ids(station) == [9]
    assert cell_states(station)["availabilityStatus"] == "DEGRADED"


def long_outage(station: Station) -> NetworkFault:
    """A mains failure that outlasts the battery by an hour and more."""
    for seed in range(200):
        trouble = station.equipment.begin_fault("mains-failure", seed=str(seed))
        if trouble.lasts is not None and trouble.lasts > trouble.begins[1] + HOUR:
            return trouble
        station.equipment.faults.end(trouble)
    raise AssertionError("no seed lets mains fail for long")


class TestMains:
    def test_battery_runs_down_and_the_station_falls_silent(self, clock: VirtualClock) -> None:
        station = lively(clock, StationSettings(boot_seconds=60))
        trouble = long_outage(station)
        empty, back = trouble.begins[1], trouble.lasts
        assert back is not None
        clock.advance(empty - 1)
        assert station.summary()["cells_on_air"] == 1
        assert [alarm.severity for alarm in station.equipment.alarms.active] == ["MAJOR"]
        clock.advance(1)
        assert (station.summary()["up"], station.summary()["cells_on_air"]) == (False, 0)
        assert [alarm.severity for alarm in station.equipment.alarms.active] == ["CRITICAL"]
        station.restart()
        clock.advance(100)
        assert not station.summary()["up"], "there is no power to start with"
        clock.advance(back - empty)
        assert station.summary()["up"]
        assert healthy(station, clock)

    async def test_sessions_are_lost_with_power(self, station: Station, clock: VirtualClock) -> None:
        client = await Client(station).greeted()
        trouble = long_outage(station)
        clock.advance(trouble.begins[1])
        assert client.wire.aborted
        assert station.server.sessions == {}


def test_sync_is_lost_for_good_after_holdover_and_fdd_goes_on(station: Station, clock: VirtualClock) -> None:
    trouble = station.equipment.begin_fault("sync-lost")
    assert trouble.lasts is not None
    if trouble.lasts > trouble.begins[1]:
        clock.advance(trouble.begins[1])
        assert alarm_ids(station) == [18]
    assert station.summary()["cells_on_air"] == 1


def test_sleeping_cell_shows_nothing(station: Station) -> None:
    before = dict(cell_states(station))
    station.equipment.begin_fault("sleeping-cell", "1")
    assert cell_states(station) == {**before, "usageState": "IDLE"}
    assert alarm_ids(station) == []


def test_reverted_configuration_leaves_nothing_but_itself(station: Station, clock: VirtualClock) -> None:
    set_cell(station, userLabel="planned")
    station.equipment.begin_fault("configuration-reverted")
    clock.advance(0)
    assert "planned" not in station.datastores.running.to_text()
    assert station.summary()["network_faults"] == 0
    (*_, last) = station.history.events(EventKind.RUNNING_CHANGED)
    assert (last.user, last.detail["cause"]) == ("technician", "foreign")


def test_fate_follows_from_the_seed(clock: VirtualClock) -> None:
    def fate(seed: str, network: str = "x") -> list[object]:
        station = lively(clock, seed=network)
        found = [station.equipment.begin_fault(name, seed=seed or None) for name in AT_ONCE]
        return [(trouble.helps, trouble.begins, trouble.lasts) for trouble in found]

    assert fate("7") == fate("7")
    assert fate("7") != fate("8")
    assert fate("", "a") == fate("", "a") != fate("", "b")


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("earthquake", "", "no network fault is called 'earthquake'"),
        ("cell-down", "9", "has no cell 9"),
        ("vswr", "ru-7", "has no unit ru-7"),
        ("core-link-down", "vicuna", "has no tenant vicuna"),
        ("fan", "ru-1", "strikes the station"),
    ],
)
def test_what_is_not_there_is_not_struck(station: Station, name: str, target: str, message: str) -> None:
    with pytest.raises(UnknownFaultError, match=message):
        station.equipment.begin_fault(name, target)
    assert station.summary()["network_faults"] == 0


def test_station_without_cells_has_none_to_lose(clock: VirtualClock) -> None:
    with pytest.raises(UnknownFaultError, match="has no cell"):
        bare(clock).equipment.begin_fault("cell-down")


def test_unknown_unit_is_refused(station: Station) -> None:
    with pytest.raises(RpcError, match="ru-9"):
        station.equipment.reset_unit("ru-9")


def test_every_fault_is_tried_here() -> None:
    software = {"download-fails", "wrong-checksum", "install-fails", "activation-fails", "boot-fails"}
    assert set(AT_ONCE) | software | {"configuration-reverted"} == set(NETWORK_FAULTS)
    for row in NETWORK_FAULTS.values():
        assert row.place in Place
        assert row.stages[0].after == (0.0, 0.0)


@pytest.mark.parametrize("name", ["mains-failure", "sync-lost"])
def test_how_long_a_station_serves_without_mains_or_time_source_is_that_of_the_network_files(name: str) -> None:
    clock = VirtualClock()
    station = lively(clock)
    drawn = station.equipment.begin_fault(name, seed="7")
    station.equipment.faults.end(drawn)
    reserved = station.equipment.faults.begin(name, "", "7", HOUR)
    assert reserved.begins == (0.0, HOUR) != drawn.begins
    clock.advance(HOUR - 1)
    assert reserved.stage is reserved.kind.stages[0]
    clock.advance(2)
    assert reserved.stage is reserved.kind.stages[1]
