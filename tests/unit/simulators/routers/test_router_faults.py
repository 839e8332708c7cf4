"""What routers do wrong on request."""

from __future__ import annotations

import pytest

from simulators.clock import VirtualClock
from simulators.history import EventKind
from simulators.routers.faults import RouterFault, RouterFaultKind, RouterFaults
from simulators.routers.router import Router
from tests.unit.simulators.routers.bench import Typist, make_router, run_loop

LINES = ("conf t", "interface gi0/0/2", "description a", "shutdown", "end")
PORT = "GigabitEthernet0/0/2"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def router(clock: VirtualClock) -> Router:
    return make_router(clock)


@pytest.fixture
async def typist(router: Router) -> Typist:
    await (typist := await Typist(router).seated()).type("terminal length 0", "conf t", "default int gi0/0/2", "end")
    return typist


@pytest.mark.parametrize(
    ("kind", "percent"), [(RouterFaultKind.REFUSE_LINE, True), (RouterFaultKind.REFUSE_LINE_PLAINLY, False)]
)
async def test_the_second_line_is_refused(router: Router, typist: Typist, kind: RouterFaultKind, percent: bool) -> None:
    router.faults.inject(RouterFault(kind, line=2))
    shown = await typist.type(*LINES)
    assert "ommand rejected" in shown
    assert ("%" in shown) is percent
    port = router.running.interfaces[PORT]
    assert (port.description, port.shutdown) == ("", True)
    assert not list(router.faults)
    assert router.history.counts[EventKind.FAULT_STRUCK] == 1


async def test_a_line_is_swallowed(router: Router, typist: Typist) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.SWALLOW_LINE, command="shutdown"))
    shown = await typist.type(*LINES)
    assert "%" not in shown
    assert router.running.interfaces[PORT].shutdown is False


@pytest.mark.parametrize(
    ("kind", "says_ok"), [(RouterFaultKind.SAVE_LIES, True), (RouterFaultKind.SAVE_FAILS_SILENTLY, False)]
)
async def test_saving_saves_nothing(router: Router, typist: Typist, kind: RouterFaultKind, says_ok: bool) -> None:
    router.faults.inject(RouterFault(kind))
    await typist.type(*LINES)
    shown = await typist.type("write memory")
    assert ("[OK]" in shown) is says_ok
    assert "%" not in shown
    assert router.startup != router.running
    await typist.type("write memory")
    assert router.startup == router.running


@pytest.mark.parametrize(
    ("kind", "applied"), [(RouterFaultKind.DROP_BEFORE, False), (RouterFaultKind.DROP_AFTER, True)]
)
async def test_the_session_drops(router: Router, typist: Typist, kind: RouterFaultKind, applied: bool) -> None:
    router.faults.inject(RouterFault(kind, command="shutdown"))
    await typist.type(*LINES)
    assert typist.screen.aborted
    assert router.running.interfaces[PORT].description == "a"
    assert router.running.interfaces[PORT].shutdown is applied
    assert not router.sessions


async def test_the_session_hangs(clock: VirtualClock, router: Router, typist: Typist) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.HANG, line=1))
    await typist.type(*LINES)
    clock.advance(10_000)
    assert (await typist.press("\n\n\x03")) == ""
    assert not typist.screen.closed
    typist.shell.drop()
    await run_loop()
    assert not router.sessions


async def test_a_slow_prompt(clock: VirtualClock, router: Router, typist: Typist) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.DELAY, seconds=20))
    assert not (await typist.type("show clock")).endswith("#")
    clock.advance(20)
    await run_loop()
    assert typist.screen.text.endswith("R-OLLANTA#")


async def test_noise_before_the_prompt(router: Router, typist: Typist) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.LOG_LINES, command="shutdown"))
    shown = await typist.type(*LINES)
    assert "%LINEPROTO-5-UPDOWN" in shown
    assert router.running.interfaces[PORT].shutdown
    router.faults.inject(RouterFault(RouterFaultKind.GARBAGE))
    assert "\x00" in await typist.type("show clock")


def strikes(seed: str) -> list[bool]:
    faults = RouterFaults(seed)
    faults.inject(RouterFault(RouterFaultKind.HANG, count=None, probability=0.5))
    return [bool(faults.take(frozenset({RouterFaultKind.HANG}))) for _ in range(64)]


def test_dice_replay_from_the_seed() -> None:
    assert strikes("a") == strikes("a")
    assert strikes("a") != strikes("b")
    assert 10 < sum(strikes("a")) < 54


def test_faults_are_counted_and_cleared() -> None:
    faults = RouterFaults("seed")
    first = faults.inject(RouterFault(RouterFaultKind.HANG, command="ip route", count=2))
    second = faults.inject(RouterFault(RouterFaultKind.DELAY))
    assert faults.take(frozenset(RouterFaultKind), "ip route vrf") == (first, second)
    assert list(faults) == [first]
    assert first.to_json()["count"] == 1
    assert not faults.take(frozenset({RouterFaultKind.HANG}), "hostname")
    assert faults.clear(first.id) == 1
    assert faults.clear() == 0
