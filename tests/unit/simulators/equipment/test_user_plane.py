"""Users' packets take the route to the S-GWs or the UPF: who attaches and has none carries nothing."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from simulators.clock import VirtualClock
from simulators.equipment.measurements import EVERYTHING
from simulators.equipment.performance import PERIOD
from simulators.fleet.transport import Transport
from simulators.network import SimulatedNetwork, Surroundings
from simulators.routers.factory import Provisioning
from simulators.station import Station, StationSettings
from tests.unit.simulators.equipment.stations import ANDES, CONDOR, SETTLED, alarm_ids, configure, nr_station
from tests.unit.simulators.netconf.bench import DELETE, cell, enb, link, s1u, within_enb
from tests.unit.simulators.routers.bench import ROUTER, tiny, type_lines

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
TWO = cell().replace("</plmnIdList>", "</plmnIdList><plmnIdList><mcc>999</mcc><mnc>02</mnc></plmnIdList>", 1)


class Site:
    """The LTE station of the tiny network's first site behind its router, with links of two tenants."""

    def __init__(self, clock: VirtualClock, network: SimulatedNetwork) -> None:
        self.clock = clock
        self.transport = Transport(network, clock, seed="tiny", routers=Provisioning.PROVISIONED)
        record = next(record for record in network.stations if record.id == "T-LTE-1")
        around = Surroundings.of(network, None, self.transport)
        self.station = Station(record, network.cores, clock, StationSettings(), around)
        self.transport.attach({record.id: self.station})
        links = link() + link("condor-mme-1", "10.42.0.1", 102) + s1u() + s1u("condor-s1u", 102)
        configure(self.station, enb(TWO + links))
        clock.advance(SETTLED)

    def type(self, *lines: str) -> None:
        assert not [line for line in type_lines(self.transport.routers[ROUTER], *lines) if line.startswith("%")]
        self.clock.advance(SETTLED)


@pytest.fixture
def site(clock: VirtualClock) -> Site:
    return Site(clock, tiny())


def measured(station: Station, clock: VirtualClock) -> dict[str, float]:
    """Counters of all objects in a full period from now on."""
    clock.advance(2 * PERIOD - clock.monotonic() % PERIOD)
    found: dict[str, float] = {}
    for counters in EVERYTHING.selected(station.equipment.performance.measure().values).values():
        for name, value in counters.items():
            found[name] = found.get(name, 0.0) + value
    return found


def volume(counters: dict[str, float], plmn: str) -> float:
    return sum(value for name, value in counters.items() if "Volume" in name and f".{plmn}." in f"{name}.")


def test_a_tenant_that_attaches_and_has_no_route_to_its_s_gws_carries_nothing(site: Site, clock: VirtualClock) -> None:
    site.type("no ip route vrf condor 10.42.8.0 255.255.255.252")
    assert site.station.summary()["links_up"] == 3
    assert alarm_ids(site.station) == [1005]
    counters = measured(site.station, clock)
    assert volume(counters, CONDOR) == 0
    assert volume(counters, ANDES) > 0
    # Its users attach all the same: that is what made it go unseen.
    attempts, successes = counters["S1SIG.ConnEstabAtt"], counters["S1SIG.ConnEstabSucc"]
    assert successes == pytest.approx(attempts, rel=0.02)
    site.type("ip route vrf condor 10.42.8.0 255.255.255.252 169.254.0.1")
    assert alarm_ids(site.station) == []
    assert volume(measured(site.station, clock), CONDOR) > 0


def test_a_route_to_the_mme_alone_was_the_smallest_network_around_the_control_plane(
    site: Site, clock: VirtualClock
) -> None:
    """The route of before: the smallest network over MME, AMF and UPF, in which no S-GW lies."""
    site.type(
        *("no ip route vrf andes 10.41.8.0 255.255.255.252", "no ip route vrf andes 10.41.0.1 255.255.255.255"),
        "ip route vrf andes 10.41.0.0 255.255.252.0 169.254.0.1",
    )
    assert volume(measured(site.station, clock), ANDES) == 0


def test_a_route_to_half_of_the_gateways_carries_half(site: Site, clock: VirtualClock) -> None:
    whole = volume(measured(site.station, clock), ANDES)
    site.type(
        *("no ip route vrf andes 10.41.8.0 255.255.255.252", "ip route vrf andes 10.41.8.0 255.255.255.254 169.254.0.1")
    )
    assert alarm_ids(site.station) == [1005]
    clock.advance(24 * 3600 - 4 * PERIOD)
    assert volume(measured(site.station, clock), ANDES) == pytest.approx(whole / 2, rel=0.6)


@pytest.mark.parametrize("protected", [("control", "user"), ("user",)])
def test_what_a_security_gateway_protects_takes_the_route_to_it_and_needs_no_other(
    clock: VirtualClock, protected: tuple[str, ...]
) -> None:
    network, gateway = tiny(), "10.49.0.1"
    cores = (
        replace(core, gateway=gateway, protected=frozenset(protected)) if core.tenant == "condor" else core
        for core in network.cores
    )
    site = Site(clock, replace(network, cores=tuple(cores)))
    ways = {str(route) for route in site.transport.routers[ROUTER].running.routes if "condor" in str(route)}
    assert len(ways) == (1 if "control" in protected else 2)
    assert volume(measured(site.station, clock), CONDOR) > 0
    site.type(f"no ip route vrf condor {gateway} 255.255.255.255")
    # Routes to what is behind the gateway are of no use: nothing answers there outside of a tunnel.
    site.type("ip route vrf condor 10.42.8.0 255.255.255.252 169.254.0.1")
    assert volume(measured(site.station, clock), CONDOR) == 0
    assert site.station.summary()["links_up"] == (2 if "control" in protected else 3)
    site.type(f"ip route vrf condor {gateway} 255.255.255.255 169.254.0.1")
    assert volume(measured(site.station, clock), CONDOR) > 0


def test_without_an_end_point_there_is_no_user_plane(site: Site, clock: VirtualClock) -> None:
    gone = within_enb(f"<EP_S1U{DELETE}><id>condor-s1u</id></EP_S1U>")
    configure(site.station, gone.replace("<ManagedElement", f'<ManagedElement xmlns:nc="{BASE}"', 1))
    clock.advance(SETTLED)
    counters = measured(site.station, clock)
    assert (volume(counters, CONDOR), volume(counters, ANDES) > 0) == (0, True)


def test_a_slice_is_carried_by_the_upfs_that_serve_it(clock: VirtualClock) -> None:
    station = nr_station(clock)
    assert volume(measured(station, clock), ANDES) > 0
    andes = next(core for core in tiny().cores if core.tenant == "andes")
    other = replace(andes, slices=MappingProxyType({"10.41.2.1": frozenset({"1-0000FF"})}))
    cores = tuple(other if core is andes else core for core in tiny().cores)
    record = next(record for record in tiny().stations if record.id == station.id)
    elsewhere = Station(record, cores, clock, StationSettings(), Surroundings(cores))
    elsewhere.overwrite(station.datastores.running)
    clock.advance(SETTLED)
    counters = measured(elsewhere, clock)
    assert (volume(counters, ANDES), volume(counters, CONDOR) > 0) == (0, True)


def test_a_plmn_that_is_reserved_for_operator_use_admits_test_users_only(site: Site, clock: VirtualClock) -> None:
    plmn = "<plmnIdList><mcc>999</mcc><mnc>02</mnc>{}</plmnIdList>"
    condor = f"<EUtranCellFDD><id>1</id><attributes>{plmn}</attributes></EUtranCellFDD>"
    reserved = "<cellReservedForOperatorUse>true</cellReservedForOperatorUse>"
    configure(site.station, within_enb(condor.format(reserved)))
    closed = measured(site.station, clock)
    configure(site.station, within_enb(condor.format(reserved.replace("true", "false"))))
    opened = measured(site.station, clock)
    assert 0 < volume(closed, CONDOR) < 0.2 * volume(opened, CONDOR)
    assert volume(closed, ANDES) == pytest.approx(volume(opened, ANDES), rel=0.5)


def test_a_slice_that_the_user_plane_does_not_list_is_not_carried(clock: VirtualClock) -> None:
    served = "<pLMNInfoList><mcc>999</mcc><mnc>01</mnc><sd>0000A1</sd><sst>1</sst></pLMNInfoList>"
    counters = measured(nr_station(clock, served=served), clock)
    assert volume(counters, ANDES) > 0
    assert volume(counters, CONDOR) == 0
    everybody = served + served.replace("01", "02", 1).replace("A1", "B1")
    assert volume(measured(nr_station(clock, served=everybody), clock), CONDOR) > 0
    # A user plane that lists nobody serves all.
    assert volume(measured(nr_station(clock), clock), CONDOR) > 0
