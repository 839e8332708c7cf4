"""netconf-client, another stock client, and ncclient work with stations of several profiles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations.errors import MissingCapabilityError
from netconf_client.connect import connect_ssh
from netconf_client.error import RpcError
from netconf_client.ncclient import Manager

from simulators.cli import settings_of
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.inventory import Endpoint
from simulators.netconf.profiles import PROFILES
from simulators.network import read_network
from simulators.station import StationSettings
from tests.unit.simulators.netconf.bench import BASE, ME, label_config

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
CHOICES = ("full", "T-LTE-1=standard", "T-NR-1=writable-running", "T-BOTH-1=guarded")
LABEL = "/me:ManagedElement/me:attributes/me:userLabel"


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    default, others = settings_of(StationSettings(settle_seconds=0.0), CHOICES)
    async with Fleet(read_network(TINY), FleetSettings(stations=default, by_station=others)) as running:
        yield running


@contextmanager
def connected(endpoint: Endpoint, username: str = "minka") -> Iterator[Manager]:
    with (
        connect_ssh(host=endpoint.address, port=endpoint.port, username=username, password="minka-sim") as session,
        Manager(session, timeout=20) as client,
    ):
        yield client


def config(label: str, station: str) -> str:
    return f'<config xmlns="{BASE}">{label_config(label, station)}</config>'


def label_in(xml: bytes | str) -> str | None:
    return etree.fromstring(xml).findtext(f".//{{{ME}}}userLabel")


async def test_confirmed_commit_and_notifications(fleet: Fleet) -> None:
    def work() -> None:
        endpoint = fleet.endpoint("T-LTE-1")
        with connected(endpoint) as client, connected(endpoint) as listener:
            listener.create_subscription()
            client.lock("candidate")
            client.edit_config(config("new", "T-LTE-1"), target="candidate", default_operation="merge")
            client.validate("candidate")
            client.commit(confirmed=True, confirm_timeout=60, persist="tok")
            client.unlock("candidate")
            assert label_in(client.get_config(source="running").data_xml) == "new"
            client.cancel_commit(persist_id="tok")
            assert label_in(client.get_config(source="running").data_xml) == "T-LTE-1"
            kinds: list[str] = []
            while kinds.count("netconf-confirmed-commit") < 2:
                found = listener.take_notification(timeout=60)
                assert found is not None
                kinds.append(etree.QName(found.notification_ele[1]).localname)
            assert kinds == [
                *("netconf-config-change", "netconf-confirmed-commit"),
                *("netconf-config-change", "netconf-confirmed-commit"),
            ]

    await asyncio.to_thread(work)


async def test_startup_xpath_and_replay(fleet: Fleet) -> None:
    def work() -> None:
        started = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
        with connected(fleet.endpoint("T-LTE-2")) as client:
            client.edit_config(config("direct", "T-LTE-2"), target="running")
            client.copy_config(target="startup", source="running")
            wanted = f'<filter type="xpath" xmlns:me="{ME}" select="{LABEL}"/>'
            assert label_in(client.get_config(source="startup", filter=wanted).data_xml) == "direct"
            client.create_subscription(start_time=started)
            first = client.take_notification(timeout=60)
            assert first is not None
            assert etree.QName(first.notification_ele[1]).localname == "netconf-session-start"

    await asyncio.to_thread(work)
    fleet.stations["T-LTE-2"].change_profile(PROFILES["full"])
    fleet.stations["T-LTE-2"].restart()


async def test_writable_running_with_ncclient(fleet: Fleet) -> None:
    def work() -> None:
        endpoint = fleet.endpoint("T-NR-1")
        with manager.connect(
            host=endpoint.address,
            port=endpoint.port,
            username="minka",
            password="minka-sim",
            hostkey_b64=endpoint.host_key.split()[1],
            look_for_keys=False,
            allow_agent=False,
            timeout=20,
        ) as session:
            assert ":writable-running" in session.server_capabilities
            assert ":candidate" not in session.server_capabilities
            with session.locked("running"):
                session.edit_config(
                    f'<nc:config xmlns:nc="{BASE}">{label_config("new", "T-NR-1")}</nc:config>', target="running"
                )
            assert label_in(session.get_config("running").data_xml.encode()) == "new"
            with pytest.raises(MissingCapabilityError):
                session.commit()

    await asyncio.to_thread(work)


async def test_a_user_who_only_reads(fleet: Fleet) -> None:
    def work() -> None:
        with connected(fleet.endpoint("T-BOTH-1"), "viewer") as client:
            assert label_in(client.get_config(source="running").data_xml) == "T-BOTH-1"
            with pytest.raises(RpcError, match="update is not permitted here"):
                client.edit_config(config("no", "T-BOTH-1"), target="candidate")

    await asyncio.to_thread(work)


def test_choices_of_profiles() -> None:
    default, others = settings_of(StationSettings(boot_seconds=3.0), ("T-1=trim", "full"))
    assert (default.profile, default.boot_seconds) == (PROFILES["full"], 3.0)
    assert (others["T-1"].profile, others["T-1"].boot_seconds) == (PROFILES["trim"], 3.0)
    with pytest.raises(ValueError, match="none of standard"):
        settings_of(StationSettings(), ("nonsense",))
