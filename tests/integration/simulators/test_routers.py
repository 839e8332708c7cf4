"""Simulated routers and netmiko's own driver, with its stock settings and strict host keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import netmiko
import pytest

from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import read_network
from simulators.routers.factory import Provisioning
from simulators.routers.faults import RouterFault, RouterFaultKind
from simulators.routers.router import Router, RouterSettings

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
ROUTER = "R-OLLANTA"
#: What a refusal looks like, whether it has a % or not.
ERRORS = r"^%|Bad mask|Not a valid host address|rejected"
_T = TypeVar("_T")


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    network = read_network(TINY)
    async with Fleet(network, FleetSettings(only=["T-LTE-1"], routers=Provisioning.PROVISIONED)) as fleet:
        yield fleet


@pytest.fixture
def router(fleet: Fleet) -> Router:
    return fleet.routers[ROUTER]


@pytest.fixture
def known_hosts(fleet: Fleet, tmp_path: Path) -> Path:
    endpoint = fleet.router_endpoint(ROUTER)
    file = tmp_path / "known_hosts"
    file.write_text(f"[{endpoint.address}]:{endpoint.port} {endpoint.host_key}\n")
    return file


async def at(fleet: Fleet, known_hosts: Path, work: Callable[[Any], _T], **settings: Any) -> _T:
    """Do some work with netmiko, in a thread since it blocks."""
    endpoint = fleet.router_endpoint(ROUTER)
    wanted = {
        "device_type": "cisco_ios",
        "host": endpoint.address,
        "port": endpoint.port,
        "username": "minka",
        "password": "minka-sim",
        "ssh_strict": True,
        "system_host_keys": False,
        "alt_host_keys": True,
        "alt_key_file": str(known_hosts),
        **settings,
    }

    def run() -> _T:
        with netmiko.ConnectHandler(**wanted) as connection:
            return work(connection)

    return await asyncio.to_thread(run)


SHOWS = {
    "show version": "Version 17.6.5",
    "show running-config": "hostname R-OLLANTA",
    "show startup-config": "Using ",
    "show interfaces": "line protocol is up",
    "show ip interface brief": "GigabitEthernet0/0/0   10.98.0.1       YES manual up                    up",
    "show ip route": "S*       0.0.0.0/0 [1/0] via 10.98.0.2",
    "show ip route vrf andes": "S        10.41.8.0/30 [1/0] via 169.254.0.1",
    "show vrf": "65000:101",
    "show vlans": "GigabitEthernet0/0/1.101",
    "ping vrf andes 10.41.0.1": "Success rate is 100 percent (5/5)",
    "show reload": "No reload is scheduled.",
}


async def test_show_commands(fleet: Fleet, known_hosts: Path) -> None:
    def work(connection: Any) -> dict[str, str]:
        return {command: connection.send_command(command) for command in SHOWS}

    for command, output in (await at(fleet, known_hosts, work)).items():
        assert SHOWS[command] in output


async def test_a_tenant_is_configured_saved_and_listed(fleet: Fleet, known_hosts: Path, router: Router) -> None:
    lines = [
        *("vrf definition llama", "rd 65000:200", "address-family ipv4", "exit-address-family"),
        *("interface GigabitEthernet0/0/1.200", "encapsulation dot1Q 200", "vrf forwarding llama"),
        *("ip address 10.200.0.1 255.255.255.0", "ip route vrf llama 10.9.0.0 255.255.0.0 10.200.0.2"),
    ]

    def work(connection: Any) -> str:
        connection.send_config_set(lines, error_pattern=ERRORS)
        assert "[OK]" in connection.save_config()
        return str(connection.send_command("show startup-config | section vrf definition llama"))

    assert "rd 65000:200" in await at(fleet, known_hosts, work)
    assert router.startup.routes == router.running.routes


async def test_lines_before_a_refused_one_stay(fleet: Fleet, known_hosts: Path, router: Router) -> None:
    def work(connection: Any) -> bool:
        lines = ["hostname NEW", "interface gi0/0/2", "ip address 10.0.0.0 255.255.255.0", "description never sent"]
        with pytest.raises(netmiko.exceptions.ConfigInvalidException, match="Bad mask"):
            connection.send_config_set(lines, error_pattern=ERRORS)
        return bool(connection.check_config_mode())

    assert await at(fleet, known_hosts, work)
    assert router.running.hostname == "NEW"
    assert not router.running.interfaces["GigabitEthernet0/0/2"].description


async def test_a_refusal_goes_unseen_without_an_error_pattern(fleet: Fleet, known_hosts: Path, router: Router) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.REFUSE_LINE_PLAINLY, line=2))

    def work(connection: Any) -> str:
        return str(connection.send_config_set(["interface gi0/0/2", "description lost", "shutdown", "no shutdown"]))

    output = await at(fleet, known_hosts, work)
    assert "rejected" in output
    assert "%" not in output
    assert not router.running.interfaces["GigabitEthernet0/0/2"].description


async def test_a_save_that_fails_in_silence(fleet: Fleet, known_hosts: Path, router: Router) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.SAVE_FAILS_SILENTLY))

    def work(connection: Any) -> str:
        connection.send_config_set(["hostname NEW"])
        connection.set_base_prompt()
        return str(connection.save_config())

    assert "[OK]" not in await at(fleet, known_hosts, work)
    assert router.startup.hostname == ROUTER


async def test_the_timed_reload_as_a_safety_net(fleet: Fleet, known_hosts: Path, router: Router) -> None:
    def work(connection: Any) -> str:
        connection.send_command("reload in 5", expect_string=r"\[confirm\]")
        connection.send_command("\n", expect_string="#", cmd_verify=False)
        connection.send_config_set(["no vrf definition andes"])
        return str(connection.send_command("show reload"))

    assert "Reload scheduled for" in await at(fleet, known_hosts, work)
    assert router.reload is not None
    assert "andes" not in router.running.vrfs
    router.restart()
    assert "andes" in router.running.vrfs


async def test_the_reload_is_cancelled(fleet: Fleet, known_hosts: Path, router: Router) -> None:
    def work(connection: Any) -> str:
        connection.send_command("reload in 5", expect_string=r"\[confirm\]")
        connection.send_command("y", expect_string="#", cmd_verify=False)
        return str(connection.send_command("reload cancel"))

    assert "SHUTDOWN ABORTED" in await at(fleet, known_hosts, work)
    assert router.reload is None


async def test_a_foreign_host_key_is_refused(fleet: Fleet, known_hosts: Path, router: Router) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.CHANGED_HOST_KEY))
    with pytest.raises(netmiko.exceptions.NetmikoTimeoutException, match=r"[Hh]ost key"):
        await at(fleet, known_hosts, lambda connection: connection.find_prompt())
    assert await at(fleet, known_hosts, lambda connection: connection.find_prompt()) == "R-OLLANTA#"


async def test_a_wrong_password_is_refused(fleet: Fleet, known_hosts: Path) -> None:
    with pytest.raises(netmiko.exceptions.NetmikoAuthenticationException):
        await at(fleet, known_hosts, lambda connection: connection.find_prompt(), password="wrong")


async def test_a_dropped_session_is_noticed(fleet: Fleet, known_hosts: Path, router: Router) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.DROP_AFTER, command="interface"))

    def work(connection: Any) -> str:
        with pytest.raises((netmiko.exceptions.ReadException, OSError)):
            connection.send_config_set(["hostname NEW", "interface gi0/0/2", "description never sent"], read_timeout=2)
        return "noticed"

    assert await at(fleet, known_hosts, work) == "noticed"
    assert router.running.hostname == "NEW"


async def test_enable_with_a_secret(tmp_path: Path) -> None:
    settings = RouterSettings(enable_password="s3cret")
    async with Fleet(
        read_network(TINY), FleetSettings(only=["T-LTE-1"], routers=Provisioning.BARE, router=settings)
    ) as fleet:
        endpoint = fleet.router_endpoint(ROUTER)
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(f"[{endpoint.address}]:{endpoint.port} {endpoint.host_key}\n")

        def work(connection: Any) -> tuple[bool, bool]:
            before = connection.check_enable_mode()
            connection.enable()
            return before, connection.check_enable_mode()

        assert await at(fleet, known_hosts, work, secret="s3cret") == (False, True)
