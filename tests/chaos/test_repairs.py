"""Automatic repair under load, and with everything killed at every step of it: one repair, one end, nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import update

from controller.models.alarm import Alarm, AlarmState
from controller.models.approval import NoticeKind
from controller.models.run import JournalStep, RunState
from controller.runs.transaction.patience import Patience
from controller.store import Page
from controller.store.alarms.incident_rows import incidents
from tests.chaos.alarm_storm import (
    NO_LIMITS,
    Fault,
    alarms_of,
    let_rules_act,
    link_of_tenant,
    paced,
    repairs_of,
    send,
    storm,
    write_rules,
)
from tests.chaos.attempts import assert_one_effect
from tests.chaos.conftest import TINY
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.process_system import ProcessSystem, process_system, temporary_folder
from tests.support.soak import SOAK

pytestmark = [pytest.mark.needs("initdb", "redis-server"), pytest.mark.timeout(3600 if SOAK else 400)]

STATION, TENANT, LINK = "T-LTE-1", "condor", "condor-mme-1"
#: The journal's step that a repair has reached when something is killed, and the operation that is slow then.
MOMENTS = {
    "editing": (JournalStep.EDITING, "edit-config"),
    "committing": (JournalStep.COMMITTING, "commit"),
    "confirming": (JournalStep.CONFIRMING, "confirm"),
}
STEPS = ("raised", "started", *MOMENTS, "verifying")
VICTIMS = ("worker", "scheduler", "listener", "redis", "postgres")
#: Faults of a storm, where it is not a soak.
FAULTS = 10_000 if SOAK else 600


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as made:
        yield made


@pytest.fixture(scope="module")
def repairing(server: PostgresServer) -> Iterator[ProcessSystem]:
    """A system whose rules repair, on a database of its own."""
    with temporary_folder() as folder:
        write_rules(folder / "rules", {"core-link-down": 1})
        settings = {"MINKA_RULES": str(folder / "rules"), "MINKA_HEALTH_INTERVAL": "1", **NO_LIMITS}
        with process_system(folder, "servers", TINY, server, listener=True, settings=settings) as made:
            made.load(TINY)
            let_rules_act(made)
            made.call("POST", "/devices/adopt", {"selector": "*"})
            run = made.apply(made.plan())
            assert made.ended(run).counts == {"succeeded": 4}, made.store.runs.jobs(run)
            made.until("its stations are looked at", lambda: len(made.store.healths.find()) == 4)
            yield made


def _break_link(system: ProcessSystem, station: str = STATION) -> None:
    """Break the link; that it was broken in an earlier test is long over, or it would flap."""
    over = incidents.c.closed.is_not(None)
    with system.store.database.engine.begin() as connection:
        connection.execute(
            update(incidents).where(over).values(closed=system.store.database.clock.now() - timedelta(hours=1))
        )
    system.control.post(f"/stations/{station}/links/break", json={"link": f"{TENANT}-{LINK}"}).raise_for_status()


def _chosen() -> list[tuple[str, str]]:
    """Who is killed at which step: all, or each victim and each step about once."""
    if SOAK:
        return list(product(VICTIMS, STEPS))
    return [("worker", "committing"), ("scheduler", "started"), ("postgres", "verifying")]


@pytest.mark.parametrize(("victim", "step"), _chosen())
def test_killed_in_a_repair(repairing: ProcessSystem, server: PostgresServer, victim: str, step: str) -> None:
    began, before = repairing.store.database.clock.now(), len(repairing.changes(STATION))
    if step in MOMENTS:
        repairing.fault(STATION, "delay", MOMENTS[step][1], seconds=4)
    _break_link(repairing)
    alarm = _reached(repairing, step, began)
    _kill(repairing, server, victim)
    # Whoever takes over from a worker that died at a commit first looks for its effect.
    ended = repairing.until("the repair has ended", lambda: _over(repairing, alarm.id), 90 + Patience().effect)
    assert ended.state is AlarmState.REPAIRED, ended
    assert_repaired_once(repairing, ended, began, before)


def _reached(system: ProcessSystem, step: str, since: datetime) -> Alarm:
    """The alarm, once its repair is at a step."""

    def reached() -> Alarm | None:
        found = _alarms(system, since)
        if not found or step == "raised":
            return next(iter(found), None)
        (alarm,) = found
        if not alarm.run or step == "started":
            return alarm if alarm.run else None
        if step == "verifying":
            return alarm if system.store.runs.get(alarm.run).state.terminal else None
        rows = system.journal(alarm.run, STATION)
        return alarm if any(row.step is MOMENTS[step][0] for row in rows) else None

    found: Alarm = system.until(f"the repair is at {step!r}", reached)
    return found


def _alarms(system: ProcessSystem, since: datetime) -> list[Alarm]:
    found = system.store.alarms.page(Page(limit=1000))[1]
    return [alarm for alarm in found if alarm.probable_cause == "core-link-down" and alarm.raised >= since]


def _kill(system: ProcessSystem, server: PostgresServer, victim: str) -> None:
    """kill -9, and start it again."""
    if victim == "worker":
        for name in ("worker-1", "worker-2"):
            system.kill(name)
        for name in ("worker-1", "worker-2"):
            system.start_worker(name)
    elif victim == "redis":
        assert system.redis is not None
        system.redis.restart()
    elif victim == "postgres":
        server.kill()
        server.start()
    else:
        system.kill(victim)
        system.start(victim)


def _over(system: ProcessSystem, alarm: str) -> Alarm | None:
    found = system.store.alarms.get(alarm)
    return found if found.state.terminal or found.state is AlarmState.ESCALATED else None


def assert_repaired_once(system: ProcessSystem, alarm: Alarm, since: datetime, before: int) -> None:
    """One alarm, one run, one effect on the station, one word to the tenant at most; nobody is called."""
    assert [one.id for one in _alarms(system, since)] == [alarm.id]
    (repair,) = repairs_of(system, [alarm])[alarm.id]
    caused = [run for run in system.store.runs.page(Page(limit=1000))[1] if run.cause == f"alarm:{alarm.id}"]
    assert [run.id for run in caused] == [repair.run] == [alarm.run]
    assert caused[0].state is RunState.SUCCEEDED
    system.assert_recorded(repair.run)
    # It is deleted in one commit and created in another.
    assert_one_effect(system.changes(STATION, before), 2, effects=True)
    system.assert_agree(STATION)
    noticed = system.store.notices.page(Page(limit=1000), TENANT)[1]
    told = [one.kind for one in noticed if one.incident == alarm.incident]
    # What is over soon is no message.
    assert told.count(NoticeKind.INCIDENT_CLEARED) <= told.count(NoticeKind.INCIDENT_RAISED) <= 1
    assert not [one for one in system.store.escalations.pending() if one.alarm == alarm.id]
    trail = system.store.audit.page(Page(limit=100_000))[1]
    assert "alarm.escalated" not in {row.action for row in trail if row.object == alarm.id}
    system.until("no lease is left", lambda: not system.store.claims.busy([STATION]))
    assert system.store.database.clock.now() - since < timedelta(seconds=300)


def test_a_storm_loses_nothing_and_starts_each_repair_once(repairing: ProcessSystem, chance: random.Random) -> None:
    """The last test: its alarms stand for good, and the scheduler would look at them while others wait for it."""
    began = repairing.store.database.clock.now()
    broken = Fault(STATION, "core-link-down", link_of_tenant(repairing, STATION, TENANT, LINK), TENANT)
    faults = [
        Fault(station, "Noise", f"unit-{number}", chance.choice(("", "andes", TENANT)))
        for number, station in product(range(FAULTS // 3), ("T-LTE-2", "T-NR-1", "T-BOTH-1"))
    ]
    _break_link(repairing)
    messages = storm(faults, 60 if SOAK else 5, chance, again=0.3) + paced([broken, broken, broken], 1)
    taken = asyncio.run(send(repairing, messages))
    assert set(taken.accepted) == {*faults, broken}
    found = alarms_of(repairing, [*faults, broken], began)
    alarm = found[broken].id
    repairing.until("it is repaired", lambda: repairing.store.alarms.get(alarm).state is AlarmState.REPAIRED)
    (repair,) = repairs_of(repairing, [found[broken]])[alarm]
    assert repairing.store.runs.get(repair.run).state is RunState.SUCCEEDED
    assert not any(repairs_of(repairing, (found[fault] for fault in faults)).values())
    assert repairing.store.audit.verify() is None
