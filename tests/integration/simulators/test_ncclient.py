"""Stock ncclient, which nobody here wrote, does everything a controller needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ncclient import manager
from ncclient.operations import RaiseMode, RPCError
from ncclient.transport.errors import SSHUnknownHostError

from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.inventory import Endpoint
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.profiles import PROFILES
from simulators.network import read_network
from simulators.station import StationSettings
from tests.support.waiting import until
from tests.unit.simulators.netconf.bench import BASE, ENB, ME, cell, enb, label_config, link

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
STATION, OLD = "T-LTE-1", "T-LTE-1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncclient.transport.session.TICK", 0.001)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet(read_network(TINY), FleetSettings(stations=StationSettings(settle_seconds=0.05))) as running:
        yield running


def connect(endpoint: Endpoint, host_key: str | None = None) -> manager.Manager:
    return manager.connect(
        host=endpoint.address,
        port=endpoint.port,
        username="minka",
        password="minka-sim",
        hostkey_b64=(host_key or endpoint.host_key).split()[1],
        look_for_keys=False,
        allow_agent=False,
        timeout=20,
    )


@contextmanager
def connected(endpoint: Endpoint, host_key: str | None = None) -> Iterator[manager.Manager]:
    with connect(endpoint, host_key) as session:
        yield session


def config(content: str) -> str:
    return f'<nc:config xmlns:nc="{BASE}">{content}</nc:config>'


async def test_whole_transaction(fleet: Fleet) -> None:
    def work() -> None:
        with connected(fleet.endpoint(STATION)) as session:
            assert ":confirmed-commit:1.1" in session.server_capabilities
            with session.locked("candidate"):
                session.discard_changes()
                session.edit_config(config(enb(cell() + link())), target="candidate")
                session.validate("candidate")
                session.commit(confirmed=True, timeout="60", persist="token")
                session.commit(persist_id="token")
            cells = f'<ENBFunction xmlns="{ENB}"><EUtranCellFDD/></ENBFunction>'
            wanted = f'<ManagedElement xmlns="{ME}">{cells}</ManagedElement>'
            found = session.get_config("running", filter=("subtree", wanted)).data_xml
            assert "<pci>11</pci>" in found
            assert "EP_S1C" not in found

    await asyncio.to_thread(work)
    await asyncio.sleep(0.1)
    assert fleet.stations[STATION].summary()["cells_on_air"] == 1
    assert fleet.stations[STATION].summary()["links_up"] == 1
    assert fleet.stations["T-LTE-2"].revision == 0


async def test_cancel_and_rollback_by_lost_session(fleet: Fleet) -> None:
    def work() -> None:
        with connected(fleet.endpoint(STATION)) as session:
            session.edit_config(config(label_config("new")), target="candidate")
            session.commit(confirmed=True, timeout="60", persist="token")
            assert "new" in session.get_config("running").data_xml
            session.cancel_commit(persist_id="token")
            assert "new" not in session.get_config("running").data_xml
            session.edit_config(config(label_config("newer")), target="candidate")
            session.commit(confirmed=True, timeout="60")
        with connected(fleet.endpoint(STATION)) as session:
            assert "newer" not in session.get_config("running").data_xml

    await asyncio.to_thread(work)


async def test_time_out_in_real_time(fleet: Fleet) -> None:
    def work() -> None:
        with connected(fleet.endpoint(STATION)) as session:
            session.edit_config(config(label_config("new")), target="candidate")
            session.commit(confirmed=True, timeout="1", persist="token")

    await asyncio.to_thread(work)
    await asyncio.sleep(1.2)
    assert [event.detail["cause"] for event in fleet.stations[STATION].history.events() if "cause" in event.detail] == [
        "confirmed-commit",
        "timeout",
    ]


async def test_errors_arrive_as_errors(fleet: Fleet) -> None:
    def work() -> None:
        with connected(fleet.endpoint(STATION)) as first, connected(fleet.endpoint(STATION)) as second:
            first.lock("candidate")
            with pytest.raises(RPCError) as denied:
                second.lock("candidate")
            assert denied.value.tag == "lock-denied"
            assert first.session_id in str(denied.value.info)
            with pytest.raises(RPCError) as unknown:
                first.edit_config(config(f'<ManagedElement xmlns="{ME}"><id>x</id><nope/></ManagedElement>'))
            assert unknown.value.tag == "unknown-element"
            with pytest.raises(RPCError) as value:
                first.edit_config(config(enb(cell(pci=504))), target="candidate")
            assert value.value.tag == "invalid-value"

    await asyncio.to_thread(work)


async def test_killed_session_frees_its_locks(fleet: Fleet) -> None:
    # Says no good-bye: how that fails depends on how far ncclient has come with noticing that it was killed.
    first = await asyncio.to_thread(connect, fleet.endpoint(STATION))

    def work() -> None:
        with connected(fleet.endpoint(STATION)) as second:
            first.lock("candidate")
            second.kill_session(first.session_id)
            second.lock("candidate")

    await asyncio.to_thread(work)
    await until(lambda: not first.connected)


async def test_error_behind_a_warning(fleet: Fleet) -> None:
    fleet.stations[STATION].faults.inject(Fault(FaultKind.WARNING_BEFORE_ERROR, "commit"))

    def work() -> None:
        with connected(fleet.endpoint(STATION)) as session:
            session.raise_mode = RaiseMode.NONE
            reply = session.commit()
            assert [error.severity for error in reply.errors] == ["warning", "error"]

    await asyncio.to_thread(work)


async def test_alarm_notifications() -> None:
    def work(fleet: Fleet) -> str:
        with connected(fleet.endpoint(STATION)) as session:
            session.edit_config(config(enb(link())), target="candidate")
            session.commit()
            session.create_subscription()
            loop.call_soon_threadsafe(fleet.stations[STATION].equipment.break_link, "andes")
            notification = session.take_notification(timeout=60)
            assert notification is not None
            return str(notification.notification_xml)

    loop = asyncio.get_running_loop()
    # A station without an AlarmList notifies all.
    settings = FleetSettings(only=[STATION], stations=StationSettings(PROFILES["oran-fm-only"]))
    async with Fleet(read_network(TINY), settings) as fleet:
        received = await asyncio.to_thread(work, fleet)
    assert "<fault-source>EP_S1C=andes-mme-1</fault-source>" in received
    assert "<is-cleared>false</is-cleared>" in received


async def test_schema_and_data_of_get(fleet: Fleet) -> None:
    def work() -> None:
        with connected(fleet.endpoint("T-BOTH-1")) as session:
            assert "module _3gpp-nr-nrm-nrcelldu" in session.get_schema("_3gpp-nr-nrm-nrcelldu").data
            assert "yang-library" in session.get().data_xml

    await asyncio.to_thread(work)


async def test_wrong_host_key_is_noticed(fleet: Fleet) -> None:
    def work() -> None:
        with (
            pytest.raises(SSHUnknownHostError),
            connected(fleet.endpoint(STATION), fleet.endpoint("T-NR-1").host_key),
        ):
            pass

    await asyncio.to_thread(work)
    assert fleet.stations[STATION].server.sessions == {}
