"""State that follows configuration: cells on air, core links, alarms, notifications."""

from __future__ import annotations

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.equipment.radio import UnknownLinkError
from simulators.history import EventKind
from simulators.netconf.profiles import PROFILES
from simulators.station import Station, StationSettings, UnknownRevisionError
from tests.unit.simulators.netconf.bench import (
    CREATE,
    DELETE,
    ENB,
    ME,
    Client,
    cell,
    edit,
    enb,
    label_config,
    link,
    make_station,
    within_enb,
)

FM = "urn:o-ran:fm:1.0"


@pytest.fixture
def station(clock: VirtualClock) -> Station:
    """One whose vendor tells all by o-ran-fm, and notifies it."""
    return make_station(clock, StationSettings(PROFILES["oran-fm-only"]))


NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
SUBSCRIBE = f'<create-subscription xmlns="{NOTIFICATION}"/>'
GONE = f"<EP_S1C{DELETE}><id>andes-mme-1</id></EP_S1C>"


async def commit(client: Client, *configs: str) -> None:
    for config in configs:
        await client.ok(edit(config))
    await client.ok("<commit/>")


async def leaf(client: Client, name: str) -> str | None:
    return (await client.data("<get/>")).findtext(f".//{{{ENB}}}{name}")


async def link_state(client: Client) -> str | None:
    data = await client.data("<get/>")
    return data.findtext(f".//{{{ENB}}}EP_S1C/{{{ENB}}}attributes/{{{ENB}}}operationalState")


async def alarms(client: Client) -> list[str | None]:
    data = await client.data("<get/>")
    return [alarm.findtext(f"{{{FM}}}fault-source") for alarm in data.iter(f"{{{FM}}}active-alarms")]


def notifications(client: Client) -> list[tuple[str, str | None]]:
    """Name of each notification in the inbox, and whether an alarm is cleared."""
    found = []
    for message in client.inbox:
        content = message[1]
        found.append((etree.QName(content).localname, content.findtext(f"{{{FM}}}is-cleared")))
    client.inbox.clear()
    return found


async def test_cell_comes_on_air_a_moment_after_unlock(client: Client, clock: VirtualClock) -> None:
    await commit(client, enb(cell("LOCKED")))
    assert await leaf(client, "cellState") == "IDLE"
    assert await leaf(client, "operationalState") == "ENABLED"
    clock.advance(10)
    assert await leaf(client, "cellState") == "IDLE"
    await commit(client, within_enb(cell("UNLOCKED")))
    assert await leaf(client, "cellState") == "INACTIVE"
    clock.advance(1)
    assert await leaf(client, "cellState") == "ACTIVE"
    await commit(client, within_enb(cell("LOCKED")))
    assert await leaf(client, "cellState") == "IDLE"


async def test_changes_elsewhere_leave_a_cell_on_air(client: Client, clock: VirtualClock) -> None:
    await commit(client, enb(cell()))
    clock.advance(1)
    await commit(client, label_config("new"), within_enb(link()))
    assert await leaf(client, "cellState") == "ACTIVE"


async def test_changed_carrier_interrupts_a_cell(client: Client, clock: VirtualClock) -> None:
    await commit(client, enb(cell(pci=11)))
    clock.advance(1)
    await commit(client, within_enb(cell(pci=12)))
    assert await leaf(client, "cellState") == "INACTIVE"
    clock.advance(1)
    assert await leaf(client, "cellState") == "ACTIVE"


async def test_rolled_back_unlock_takes_the_cell_off_air(client: Client, clock: VirtualClock) -> None:
    await commit(client, enb(cell("LOCKED")))
    await client.ok(edit(within_enb(cell("UNLOCKED"))))
    await client.ok("<commit><confirmed/><confirm-timeout>30</confirm-timeout></commit>")
    clock.advance(2)
    assert await leaf(client, "cellState") == "ACTIVE"
    clock.advance(30)
    assert await leaf(client, "cellState") == "IDLE"


async def test_right_link_comes_up_without_alarm(client: Client, clock: VirtualClock) -> None:
    await commit(client, enb(link()))
    assert await link_state(client) == "DISABLED"
    clock.advance(1)
    assert await link_state(client) == "ENABLED"
    assert await alarms(client) == []


@pytest.mark.parametrize(
    "wrong", [link(remote="10.42.0.1"), link(remote="192.0.2.1"), link(vlan=102), link(local="10.99.0.9")]
)
async def test_wrong_link_stays_down_with_alarm(client: Client, clock: VirtualClock, wrong: str) -> None:
    await commit(client, enb(wrong))
    assert await alarms(client) == []
    clock.advance(5)
    assert await link_state(client) == "DISABLED"
    assert await alarms(client) == ["EP_S1C=andes-mme-1"]
    await commit(client, within_enb(GONE))
    assert await alarms(client) == []


async def test_broken_link_raises_and_clears_an_alarm(client: Client, clock: VirtualClock, station: Station) -> None:
    await commit(client, enb(link()))
    clock.advance(1)
    await client.ok(SUBSCRIBE)
    assert station.equipment.break_link("andes") == ("EP_S1C=andes-mme-1",)
    await client.receive()
    assert notifications(client) == [("alarm-notif", "false")]
    assert await link_state(client) == "DISABLED"
    assert await alarms(client) == ["EP_S1C=andes-mme-1"]
    clock.advance(100)
    assert await link_state(client) == "DISABLED"
    assert station.equipment.restore_link("andes-mme-1") == ("EP_S1C=andes-mme-1",)
    clock.advance(1)
    await client.receive()
    assert notifications(client) == [("alarm-notif", "true")]
    assert await link_state(client) == "ENABLED"


async def test_unknown_link_cannot_be_broken(client: Client, station: Station) -> None:
    await commit(client, enb(link()))
    with pytest.raises(UnknownLinkError, match="vicuna"):
        station.equipment.break_link("vicuna")


async def test_merge_does_not_cure_a_broken_link(client: Client, clock: VirtualClock, station: Station) -> None:
    await commit(client, enb(link()))
    clock.advance(1)
    station.equipment.break_link("andes")
    await commit(client, within_enb(link(remote="10.41.0.2")))
    await commit(client, within_enb(link(operation=' nc:operation="replace"')))
    clock.advance(100)
    assert await link_state(client) == "DISABLED"


@pytest.mark.parametrize("commits", [1, 2])
async def test_recreating_the_end_point_cures_it(
    client: Client, clock: VirtualClock, station: Station, commits: int
) -> None:
    await commit(client, enb(link()))
    clock.advance(1)
    station.equipment.break_link("andes")
    await client.ok(edit(within_enb(GONE), "none"))
    if commits == 2:
        await client.ok("<commit/>")
    await client.ok(edit(within_enb(link(operation=CREATE)), "none"))
    await client.ok("<commit/>")
    clock.advance(1)
    assert await link_state(client) == "ENABLED"
    assert await alarms(client) == []
    assert station.history.counts[EventKind.LINK_CURED] == 1
    assert station.history.counts[EventKind.ALARM_CLEARED] == 1


async def test_only_the_broken_tenant_suffers(client: Client, clock: VirtualClock, station: Station) -> None:
    await commit(client, enb(link() + link("condor-mme-1", "10.42.0.1", 102)))
    clock.advance(1)
    station.equipment.break_link("condor")
    assert await alarms(client) == ["EP_S1C=condor-mme-1"]
    assert station.summary()["links_up"] == 1


async def test_nr_links_and_cells(clock: VirtualClock) -> None:
    station = make_station(clock, station="T-NR-1")
    client = await Client(station).greeted()
    near = "<localAddress><ipAddress>10.99.0.3</ipAddress><vlanId>101</vlanId></localAddress>"
    ep = 'xmlns="urn:3gpp:sa5:_3gpp-nr-nrm-ep"'
    await commit(
        client,
        f'<ManagedElement xmlns="{ME}"><id>T-NR-1</id>'
        '<GNBCUCPFunction xmlns="urn:3gpp:sa5:_3gpp-nr-nrm-gnbcucpfunction"><id>1</id><attributes>'
        "<priorityLabel>1</priorityLabel><gNBId>5003</gNBId><gNBIdLength>24</gNBIdLength>"
        "<gNBCUName>x</gNBCUName><pLMNId><mcc>999</mcc><mnc>01</mnc></pLMNId></attributes>"
        f"<EP_NgC {ep}><id>andes-amf-1</id><attributes>{near}<remoteAddress>10.41.1.1</remoteAddress>"
        "</attributes></EP_NgC>"
        "</GNBCUCPFunction></ManagedElement>",
    )
    clock.advance(1)
    summary = station.summary()
    assert (summary["links"], summary["links_up"]) == (1, 1)


async def test_nr_cell_comes_on_air(clock: VirtualClock) -> None:
    station = make_station(clock, station="T-NR-1")
    client = await Client(station).greeted()
    du, space = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbdufunction", "urn:3gpp:sa5:_3gpp-nr-nrm-nrcelldu"
    leaves = {
        "priorityLabel": 1,
        "cellLocalId": 1,
        "administrativeState": "UNLOCKED",
        "nRPCI": 31,
        "arfcnDL": 640000,
        "ssbFrequency": 640000,
        "ssbPeriodicity": 20,
        "ssbSubCarrierSpacing": 30,
        "ssbOffset": 0,
        "ssbDuration": 1,
        "nRSectorCarrierRef": "ManagedElement=T-NR-1,GNBDUFunction=1,NRSectorCarrier=1",
    }
    attributes = "".join(f"<{name}>{value}</{name}>" for name, value in leaves.items())
    plmn = "<pLMNInfoList><mcc>999</mcc><mnc>01</mnc><sd>0000A1</sd><sst>1</sst></pLMNInfoList>"
    function = "<priorityLabel>1</priorityLabel><gNBId>5003</gNBId><gNBIdLength>24</gNBIdLength><gNBDUId>1</gNBDUId>"
    await commit(
        client,
        f'<ManagedElement xmlns="{ME}"><id>T-NR-1</id><GNBDUFunction xmlns="{du}"><id>1</id>'
        f"<attributes>{function}</attributes>"
        f'<NRCellDU xmlns="{space}"><id>n78-1</id><attributes>{attributes}{plmn}</attributes></NRCellDU>'
        "</GNBDUFunction></ManagedElement>",
    )
    path = f".//{{{space}}}cellState"
    assert (await client.data("<get/>")).findtext(path) == "INACTIVE"
    clock.advance(1)
    assert (await client.data("<get/>")).findtext(path) == "ACTIVE"


async def test_revert_and_foreign_edit_are_on_record(client: Client, station: Station) -> None:
    await client.set_label("one")
    await client.ok("<commit/>")
    station.revert(0, user="somebody")
    assert await client.label() == "T-LTE-1"
    station.datastores.foreign_edit(etree.fromstring(label_config("two")))
    assert await client.label() == "two"
    events = station.history.events(EventKind.RUNNING_CHANGED)
    assert [event.user for event in events] == ["minka", "somebody", "technician"]
    assert [event.detail["cause"] for event in events] == ["commit", "foreign", "foreign"]
    with pytest.raises(UnknownRevisionError):
        station.revert(99)


async def test_subscribers_hear_of_changes_others_do_not(client: Client, other: Client) -> None:
    await client.ok(SUBSCRIBE)
    assert (await client.error(SUBSCRIBE))[0] == "in-use"
    await other.set_label("new")
    await other.ok("<commit/>")
    await client.receive()
    assert notifications(client) == [("netconf-config-change", None)]
    assert other.inbox == []


async def test_subscription_filter(client: Client, station: Station, clock: VirtualClock) -> None:
    flt = f'<filter type="subtree"><alarm-notif xmlns="{FM}"/></filter>'
    await client.ok(f'<create-subscription xmlns="{NOTIFICATION}">{flt}</create-subscription>')
    await commit(client, enb(link(remote="192.0.2.1")))
    clock.advance(5)
    await client.receive()
    assert notifications(client) == [("alarm-notif", "false")]


BEYOND = (
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00"),
    *("20260101T000000Z", "2026-W01-1T00:00:00Z", "0000-01-01T00:00:00Z"),
)


@pytest.mark.parametrize("parameter", ["startTime", "stopTime"])
@pytest.mark.parametrize("moment", BEYOND)
async def test_moments_of_no_calendar(client: Client, parameter: str, moment: str) -> None:
    wrong = f"<{parameter}>{moment}</{parameter}>"
    subscribe = SUBSCRIBE.replace("/>", f">{wrong}</create-subscription>")
    assert await client.error(subscribe) == ("invalid-value", {"bad-element": parameter})


@pytest.mark.parametrize("parameter", ["<stream>OTHER</stream>", "<startTime>2026-01-01T00:00:00Z</startTime>"])
async def test_wrong_subscriptions(client: Client, parameter: str) -> None:
    request = f'<create-subscription xmlns="{NOTIFICATION}">{parameter}</create-subscription>'
    assert (await client.error(request))[0] in ("invalid-value", "operation-failed")
