"""Volumes of an LTE cell that names PLMNs by their positions: each tenant's against the twin's truth, nobody else's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.api.statements import draft
from controller.drivers.netconf.codec import decode
from controller.inventory.load import load_network
from controller.models.health import Health
from controller.models.measurement import Period
from controller.models.network import network_digest
from controller.models.statement import StatementKind
from controller.nrm.profiles import plmn_lists, root_spec
from controller.performance.vocabulary import measured
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from simulators import clock as simulated
from simulators.equipment.performance import PERIOD
from simulators.equipment.truth import truth_of
from simulators.netconf.profiles import profile_named
from simulators.station import Station, StationSettings
from tests.unit.performance.test_volume import rows
from tests.unit.simulators.equipment.stations import configure, lively
from tests.unit.simulators.netconf.bench import within_enb

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
BEGIN = datetime(2026, 1, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
QUARTER = timedelta(seconds=PERIOD)
PLMN = {"andes": "999-01", "condor": "999-02"}
#: Somebody puts condor first, in the middle of a period.
SWAPPED = BEGIN + timedelta(hours=10, minutes=8)
#: Nobody reads the station from the first of these times to the second.
UNREAD = BEGIN + timedelta(hours=15, minutes=2), BEGIN + timedelta(hours=16, minutes=2)
#: Periods that are unread by that: one in which the order changed, and five that had not been read throughout.
LOST = (*(SWAPPED - timedelta(minutes=8),), *(BEGIN + timedelta(hours=15) + n * QUARTER for n in range(5)))
FIRST = (
    '<EUtranCellFDD><id>1</id><attributes><plmnIdList xmlns:y="urn:ietf:params:xml:ns:yang:1" y:insert="first">'
    "<mcc>999</mcc><mnc>02</mnc></plmnIdList></attributes></EUtranCellFDD>"
)


def read(store: Store, station: Station, at: datetime) -> None:
    """A check as Minka makes it: the station's own list, in its order."""
    content = f"<data>{station.running.to_text()}</data>".encode()
    seen = decode(root_spec(("lte-28658",)), content, station.id)
    store.healths.save([Health(station=station.id, at=at, reachable=True, plmns=plmn_lists(seen.tree))])


@pytest.fixture(scope="module")
def day() -> Iterator[tuple[Store, Station]]:
    clock = simulated.VirtualClock()
    station = lively(clock, StationSettings(profile=profile_named("files-by-position")))
    clock.advance((BEGIN - clock.now()).total_seconds())
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - DAY))) as store:
        network = load_network(TINY)
        store.networks.save(network, network_digest(network), "ana")
        read(store, station, BEGIN - timedelta(minutes=3))
        periods = []
        while clock.now() < BEGIN + DAY:
            clock.advance(120)
            now = clock.now()
            if not UNREAD[0] < now < UNREAD[1] and now.minute % 4 == 0:
                read(store, station, now)
            if now == SWAPPED:
                configure(station, within_enb(FIRST, station.id))
            if now.minute % 15 in (2, 3):
                one = station.equipment.performance.measure()
                if one.begin >= BEGIN:
                    periods.append(Period(job="1", begin=one.begin, end=one.end, values=one.values))
        clock.advance(180)
        read(store, station, clock.now())
        one = station.equipment.performance.measure()
        periods.append(Period(job="1", begin=one.begin, end=one.end, values=one.values))
        listed = store.healths.listed_plmns(station.id, BEGIN)
        store.database.clock = VirtualClock(start=BEGIN + DAY + timedelta(hours=2))
        store.measurements.put(measured(station.id, periods, None, listed).periods)
        while store.measurements.roll_up(BEGIN + DAY + timedelta(hours=2)):
            pass
        yield store, station


def truth(station: Station, tenant: str, begins: Sequence[datetime]) -> list[float]:
    """Megabytes down and up of a tenant in these periods, as they really were."""
    found = [0.0, 0.0]
    for begin in begins:
        for (_, plmn, _, _), both in truth_of(station.equipment.performance, begin, begin + QUARTER).volume.items():
            if plmn == PLMN[tenant]:
                found = [so_far + one / 8 for so_far, one in zip(found, both, strict=True)]
    return found


@pytest.mark.parametrize("tenant", PLMN)
def test_each_tenant_is_stated_its_own_volume_whatever_the_order_was(day: tuple[Store, Station], tenant: str) -> None:
    store, station = day
    statement = draft(store, BEGIN + DAY + timedelta(hours=2), StatementKind.VOLUME, tenant, "2026-01")
    (cell,) = [one for one in rows(statement, "cells") if one["cell"] == "T-LTE-1/1"]
    every = [BEGIN + n * QUARTER for n in range(96)]
    known = truth(station, tenant, [one for one in every if one not in LOST])
    assert min(known) > 0
    assert [cell["down"], cell["up"]] == pytest.approx(known, rel=1e-4)
    assert cell["unread"] == pytest.approx(100 * len(LOST) / 96, abs=0.001)
    assert cell["measured"] == pytest.approx(100 - 100 * len(LOST) / 96, abs=0.001)


def test_the_twin_counts_by_the_order_of_each_moment(day: tuple[Store, Station]) -> None:
    """A guess by the list of either end of the period would bill another tenant by more than a tenth."""
    _, station = day
    begin = LOST[0]
    counted = station.equipment.performance.measure(PERIOD, begin + QUARTER).values
    ((_, counters),) = [(name, one) for name, one in counted.items() if "EUtranCell" in name]
    first = sum(value for name, value in counters.items() if name.startswith("DRB.PdcpSduVolumeDl_Plmn1")) / 8
    for tenant in PLMN:
        assert first != pytest.approx(truth(station, tenant, [begin])[0], rel=0.1)
