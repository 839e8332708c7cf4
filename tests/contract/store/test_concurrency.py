"""Many threads, several processes, one database: what must hold whoever comes first."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from controller.intent import folding
from controller.models.alarm import Alarm, AlarmReport, AlarmSource
from controller.models.audit import AuditBreak
from controller.models.errors import LeaseLostError
from controller.models.run import Outcome, RunState, Strategy
from controller.store import JobResult, NewJob, Page, Store, Transition, open_store
from controller.store.performance import collected_files
from tests.contract.store.test_alarms import MAJOR, report
from tests.support.launch import prepared
from tests.support.processes import in_processes
from tests.support.records import head_of, make_entry, make_plan, start_run, stations

T = TypeVar("T")


@pytest.fixture
def shared(shared_url: str) -> Iterator[Store]:
    """A store whose database others may use too."""
    with closing(open_store(shared_url)) as opened:
        yield opened


def at_once(number: int, call: Callable[[int], T]) -> list[T]:
    """Results of calls that begin together, each in a thread of its own."""
    barrier = threading.Barrier(number)

    def begin(index: int) -> T:
        barrier.wait(30)
        return call(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


def _reported(store: Store, same: AlarmReport, _: int) -> Alarm:
    return store.alarms.report(same)


def test_sources_that_tell_at_once_share_the_room_of_a_device(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 5)

    def told(number: int) -> list[Alarm | None]:
        told_by = report(MAJOR, 1).model_copy(update={"source": AlarmSource.ALERTMANAGER})
        named = (told_by.model_copy(update={"specific_problem": f"p-{number}-{one}"}) for one in range(2))
        return store.alarms.take_told([*named], (), {})

    kept = [alarm for answer in at_once(8, told) for alarm in answer if alarm is not None]
    assert len(kept) == store.alarms.page(Page())[0] == 5
    assert store.status.figures()["minka_alerts_refused_total"]["too-many",] == 11


def test_counters_that_nobody_knows_share_the_room_also_if_stations_are_read_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collected_files, "_MOST_UNKNOWN", 5)
    new = at_once(8, lambda number: store.collected_files.miss("A", {f"VS.X{number}.{one}": 1 for one in range(2)}))
    assert sum(map(len, new)) == 5


def test_a_hundred_equal_reports_at_once_are_one_alarm(store: Store) -> None:
    for station in stations(3):  # the first one only warms up
        same = report(MAJOR, 1, station)
        assert len({alarm.id for alarm in at_once(100, partial(_reported, store, same))}) == 1
    total, alarms = store.alarms.page(Page())
    assert (total, [alarm.count for alarm in alarms]) == (3, [100] * 3)
    total, incidents = store.incidents.page(Page())
    assert (total, [one.id for one in incidents]) == (3, [alarm.incident for alarm in alarms])
    assert [row.action for row in store.audit.page(Page())[1]] == ["incident.opened", "alarm.raised"] * 3
    assert store.audit.verify() is None


def test_an_idempotency_key_makes_one_run_however_many_ask_at_once(store: Store) -> None:
    plan = make_plan(stations(3))
    store.plans.save(plan, "ana")
    jobs = [NewJob(0, name) for name in stations(3)]

    def create(_: int) -> str:
        created = store.runs.create(prepared(plan, "apply", Strategy(), jobs, actor="ana", key="k"))
        return created.id

    assert len(set(at_once(16, create))) == 1
    assert store.runs.page(Page())[0] == 1


def test_the_same_plan_may_be_saved_by_many_at_once(store: Store) -> None:
    plan = make_plan(stations(20))
    at_once(8, lambda _: store.plans.save(plan, "ana"))
    assert store.plans.page(Page()) == (1, [head_of(plan)])


def test_the_audit_chain_has_one_order(store: Store) -> None:
    at_once(16, lambda index: [store.audit.append(f"p{index}", "did", str(number)) for number in range(10)])
    assert store.audit.page(Page(limit=1))[0] == 160
    assert store.audit.verify() is None


def test_the_audit_chain_is_whole_while_others_write(store: Store) -> None:
    """What is appended between the rows and the head that are read is no break."""

    def write_or_look(index: int) -> list[AuditBreak | None]:
        if index:
            return [store.audit.append(f"p{index}", "did", str(number)) for number in range(60)]
        return [store.audit.verify() for _ in range(60)]

    assert set(at_once(3, write_or_look)[0]) == {None}


def test_a_decision_is_made_once(store: Store) -> None:
    run = start_run(store, stations(4), waves=2)
    made: list[int] = []

    def decide(index: int) -> bool:
        return (
            store.runs.advance(run.id, lambda seen, _jobs: None if seen.wave else Transition(RunState.RUNNING, wave=1))
            is not None
        )

    made = [index for index, decided in enumerate(at_once(12, decide)) if decided]
    assert len(made) == 1
    assert store.runs.get(run.id).wave == 1


def test_a_cancel_and_a_claim_at_once_leave_no_job_in_between(store: Store) -> None:
    run = start_run(store, stations(40))
    worker = store.processes.register("w")
    held: list[str] = []

    def act(index: int) -> None:
        if index % 2:
            held.extend(claim.job.id for claim in store.claims.take(worker, 3))
        else:
            store.runs.cancel(run.id, "ana")
            store.runs.advance(run.id, lambda seen, _jobs: Transition(seen.state, cancel_rest=True))

    at_once(8, act)
    counts = store.runs.get(run.id).counts
    assert counts.get("pending", 0) == len(held) == len(set(held))
    assert counts["cancelled"] == 40 - len(held)


def test_threads_never_claim_the_same_device(store: Store) -> None:
    for salt in ("one", "two"):
        start_run(store, stations(60), salt=salt, strategy=Strategy(parallel=25))
    workers = [store.processes.register(f"w{index}") for index in range(6)]

    def claim(index: int) -> list[tuple[str, str]]:
        return [(taken.run.id, taken.job.station) for _ in range(4) for taken in store.claims.take(workers[index], 5)]

    taken = [each for claims in at_once(6, claim) for each in claims]
    assert len({station for _, station in taken}) == len(taken)
    assert max(Counter(run for run, _ in taken).values()) <= 25


def test_processes_never_work_on_the_same_device_and_finish_each_job_once(shared: Store, shared_url: str) -> None:
    runs = [start_run(shared, stations(80), salt=salt, strategy=Strategy(parallel=15)) for salt in ("one", "two")]
    done = in_processes(_work, [(shared_url, f"w{number}", 160) for number in range(2)])
    spans = sorted(span for each in done for span in each)
    assert len(spans) == 160
    # Fences of a device are handed out one after another: no two jobs share one.
    assert len({(station, fence) for station, fence in spans}) == 160
    for run in runs:
        assert shared.runs.get(run.id).counts == {"succeeded": 80}
    assert {station: max(f for s, f in spans if s == station) for station in stations(80)} == dict.fromkeys(
        stations(80), 2
    )
    assert shared.audit.verify() is None
    assert shared.claims.busy(stations(80)) == frozenset()


def _work(url: str, name: str, all_jobs: int) -> list[tuple[str, int]]:
    """Claim, journal and finish until everything is done."""
    done = []
    with closing(open_store(url)) as store:
        incarnation = store.processes.register(name)
        while store.status.figures()["minka_jobs"].get(("done",), 0) < all_jobs:
            for claim in store.claims.take(incarnation, 7):
                store.journal.append(make_entry(claim, 0), claim)
                store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
                done.append((claim.job.station, claim.fence))
    return done


def test_a_worker_declared_dead_during_its_work_writes_nothing_more(shared: Store, shared_url: str) -> None:
    run = start_run(shared, stations(30))
    dead = shared.processes.register("dead")
    claims = shared.claims.take(dead, 30)

    def act(index: int) -> int:
        if index == 0:
            assert shared.processes.declare_dead(dead, 0)
            successor = shared.processes.register("successor")
            taken = 0
            # A device at which the dead one is trying its luck just now is passed over until the next claim.
            while shared.runs.get(run.id).counts.get("pending"):
                for claim in shared.claims.take(successor, 30):
                    shared.claims.finish(claim, JobResult(Outcome.ROLLED_BACK))
                    taken += 1
            return taken
        finished = 0
        for claim in claims:
            try:
                shared.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
                finished += 1
            except LeaseLostError:
                continue
        return finished

    by_heir, by_dead = at_once(2, act)
    counts = shared.runs.get(run.id).counts
    assert by_heir + by_dead == 30
    assert (counts.get("rolled-back", 0), counts.get("succeeded", 0)) == (by_heir, by_dead)
    assert all(len(shared.journal.find(claim.transaction)) == 1 for claim in claims)


def _declare_dead_during(store: Store, worker: str, write: Callable[[], object]) -> None:
    """Declare a worker dead while it writes something that is not committed yet; that waits for the commit."""
    written, declared = threading.Event(), threading.Event()

    def act(index: int) -> None:
        if index == 0:
            pieces = [write, written.set, lambda: order.append(f"declared dead: {declared.wait(0.5)}")]
            assert not [result for result in store.database.together(pieces) if isinstance(result, Exception)]
        else:
            written.wait(30)
            assert store.processes.declare_dead(worker, 0)
            declared.set()

    order: list[str] = []
    at_once(2, act)
    assert order == ["declared dead: False"]
    assert declared.is_set()


def test_a_worker_is_declared_dead_after_what_it_is_writing(store: Store) -> None:
    start_run(store, ["A"])
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 1)
    _declare_dead_during(store, worker, lambda: store.journal.append(make_entry(claim, 0), claim))
    assert len(store.journal.find(claim.transaction)) == 1


def test_a_worker_declared_dead_loses_what_it_is_claiming(store: Store) -> None:
    """Otherwise the device would belong to the dead for ever."""
    start_run(store, ["A"])
    worker = store.processes.register("w")
    _declare_dead_during(store, worker, lambda: store.claims.take(worker, 1))
    (taken,) = store.claims.take(store.processes.register("successor"), 1)
    assert (taken.job.station, taken.recovers) == ("A", True)


def test_another_process_sees_what_was_committed(shared: Store, shared_url: str, tmp_path: Path) -> None:
    shared.switches.set("remediation-stopped", True, "ana")
    assert in_processes(_reads_switch, [(shared_url,)]) == [True]


def _reads_switch(url: str) -> bool:
    with closing(open_store(url)) as store:
        return store.switches.is_on("remediation-stopped")
