"""Whole runs on a station and a router that nobody here wrote: Debian's FRRouting behind OpenSSH."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from controller.drivers.cli.line import PROMPT, CliLine
from controller.models.people import Person, Role
from controller.models.plan import Plan
from controller.models.run import JournalStep, Outcome, RunState
from controller.runs.planning.undo import undo_plan
from tests.integration.routers.system import ROUTER, STATION, RouterSystem, drop, merge, open_frr_system
from tests.support.callers import agree
from tests.support.frr import Frr, frr

pytestmark = [
    pytest.mark.needs("/usr/lib/frr/zebra", "sshd", "unshare"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run FRRouting in a network namespace of its own"),
]

LEO = Person(name="leo", role=Role.TENANT_APPROVER, tenant="condor")
EVA = Person(name="eva", role=Role.TENANT_APPROVER, tenant="andes")
#: What a tenant is on the router, as it writes it itself.
CONDOR = (
    *("vrf condor", " ip route 10.42.0.1/32 169.254.0.1", " ip route 10.42.0.1/32 169.254.0.5 250"),
    *(" ip route 10.42.8.0/30 169.254.0.1", " ip route 10.42.8.0/30 169.254.0.5 250", "exit-vrf"),
    *("interface down0.102", " description condor", " ip address 10.99.0.2/30", "exit"),
    *("interface up0.102", " description condor", " ip address 169.254.0.2/30", "exit"),
    *("interface up1.102", " description condor", " ip address 169.254.0.6/30", "exit"),
)


@pytest.fixture
def router() -> Iterator[Frr]:
    with frr() as running:
        running.type("ip route 192.0.2.0/24 Null0 250", "interface up0", "description to the backhaul")
        running.save()
        yield running


def blocks(text: str) -> list[str]:
    """Its blocks; a VRF that says nothing is none, as FRRouting remembers the name of each it ever heard of."""
    found = re.sub(r"^vrf \S+\nexit-vrf\n!\n", "", text, flags=re.MULTILINE).split("\n!\n")
    return [block for block in found if block]


def count(system: RouterSystem, owner: str) -> int:
    ledgers = system.store.ledger.find([ROUTER, STATION])
    return sum(owner in entry.owners for ledger in ledgers.values() for entry in ledger.values())


def journal(system: RouterSystem, run: str) -> list[tuple[str, str]]:
    """Device and step of each row of a run's journals, in order of time."""
    query = "SELECT station, step FROM journal WHERE job IN (SELECT id FROM jobs WHERE run = ?) ORDER BY at, seq"
    with closing(sqlite3.connect(system.folder / "minka.sqlite3")) as record:
        return list(record.execute(query, (run,)))


def committed(system: RouterSystem, run: str) -> list[str]:
    """Devices in the order in which the run changed them."""
    return list(dict.fromkeys(device for device, step in journal(system, run) if step == JournalStep.COMMITTING))


async def leaving(system: RouterSystem) -> Plan:
    """The plan by which condor goes, to which it has said yes."""
    system.load_without("condor-all")
    plan = await system.plan(condor=count(system, "condor"))
    agree(system.store, plan, LEO, "we leave")
    return plan


async def test_a_tenant_comes_and_goes(tmp_path: Path, router: Frr) -> None:
    async with open_frr_system(tmp_path, router, {"standby": "up1"}) as system:
        await system.carry("condor-all")
        before, others = blocks(router.running()), await system.of_others("condor")
        system.load_without()
        plan = await system.plan()
        assert [change.touched for change in plan.changes] == [("condor",), ("condor",)]
        run, jobs = await system.apply(plan)
        assert run.state is RunState.SUCCEEDED, jobs
        assert committed(system, run.id) == [ROUTER, STATION]
        carried = router.running()
        assert set(CONDOR) <= set(carried.splitlines())
        assert [block for block in blocks(carried) if "condor" not in block] == before
        assert set(CONDOR) <= set(router.saved.read_text().splitlines())
        assert await system.planner.drift([ROUTER, STATION]) == {ROUTER: (), STATION: ()}
        assert (await system.plan()).is_empty
        assert system.fleet.stations[STATION].summary()["links_up"] == 5

        run, jobs = await system.apply(await leaving(system))
        assert run.state is RunState.SUCCEEDED, jobs
        assert committed(system, run.id) == [STATION, ROUTER]
        assert blocks(router.running()) == before
        assert count(system, "condor") == 0
        assert await system.of_others("condor") == others


@pytest.mark.parametrize("dies", [False, True])
async def test_a_refused_line_leaves_nothing_half_done(
    tmp_path: Path, router: Frr, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    # An address that no network file forbids and FRRouting takes for none of an interface. Now and then its mgmtd dies
    # of it, and comes back with what is saved.
    refused, deaths = "ip address 127.0.0.2/30", [router.without_mgmtd] if dies else []
    asked = CliLine._asked

    def ask(line: CliLine, command: str, text: str, ends: str = PROMPT) -> str:
        with deaths.pop()() if text == refused and deaths else nullcontext():
            return asked(line, command, text, ends)

    monkeypatch.setattr(CliLine, "_asked", ask)
    async with open_frr_system(tmp_path, router, {"station_side": "127.0.0.2/30"}) as system:
        before, text = blocks(router.running()), system.running(STATION)
        run, jobs = await system.apply(await system.plan(), policy="unit")
        assert not deaths
        assert run.state is not RunState.SUCCEEDED
        assert jobs[ROUTER].outcome is Outcome.ROLLED_BACK, jobs
        assert re.search(f"refused '{refused}'|interrupted, and taken back", jobs[ROUTER].detail)
        assert blocks(router.running()) == before
        assert jobs[STATION].outcome is Outcome.CANCELLED, jobs
        assert system.running(STATION) == text
        assert count(system, "andes") == count(system, "condor") == 0


async def test_an_arrival_is_undone(tmp_path: Path, router: Frr) -> None:
    async with open_frr_system(tmp_path, router, {}) as system:
        before, text, had = blocks(router.running()), system.running(STATION), count(system, "host")
        run, jobs = await system.apply(await system.plan(), policy="unit")
        assert run.state is RunState.SUCCEEDED, jobs
        assert committed(system, run.id) == [ROUTER, STATION]
        assert "condor\n ip" in router.saved.read_text()
        made = {owner: count(system, owner) for owner in ("andes", "condor")}
        # The list of alarms is the station's: it is locked again, and stays.
        made["host"] = count(system, "host") - had - 1
        plan = await undo_plan(system.planner, run.id, made, "ana")
        for person in (LEO, EVA):
            agree(system.store, plan, person, "we leave")
        undone, jobs = await system.apply(plan, policy="unit")
        assert undone.state is RunState.SUCCEEDED, jobs
        assert committed(system, undone.id) == [STATION, ROUTER]
        assert blocks(router.running()) == before
        assert "condor\n ip" not in router.saved.read_text()
        assert system.running(STATION) == text


async def test_what_could_cut_the_way_to_it_is_refused(tmp_path: Path, router: Frr) -> None:
    """FRRouting has no reload that would bring it back."""
    router.type("interface up0", "ip address 10.98.0.1/30")
    async with open_frr_system(tmp_path, router, {}) as system:
        before = router.running()
        moved = merge("Port[up0]", {"address": "10.98.0.1/30"}, {"address": "10.98.0.9/30", "shutdown": "true"})
        for edit in (moved, drop("Route[192.0.2.0%2F24,Null0]")):
            run, jobs = await system.apply(await system.plan_of(edit))
            assert (run.state, jobs[ROUTER].outcome) == (RunState.FAILED, Outcome.REFUSED), jobs
            assert "could cut the management path" in jobs[ROUTER].detail
            assert JournalStep.COMMITTING not in dict(journal(system, run.id)).values()
        assert router.running() == before
