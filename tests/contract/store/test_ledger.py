"""What the ledger said before, and what jobs left on stations."""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.models.plan import LedgerNode
from controller.models.run import LedgerBefore, Outcome, Run
from controller.ports.clock import VirtualClock
from controller.store import JobResult, Store
from controller.store.network.ledger import KEPT
from tests.support.records import make_network, start_run

HOST = ("host",)


def node(path: str, **leaves: str) -> LedgerNode:
    return LedgerNode(path=path, owners=HOST, leaves=leaves)


def work(store: Store, clock: VirtualClock, salt: str, result: JobResult) -> Run:
    """One run on station A, ended by ``result`` a minute after the last."""
    clock.pause(60)
    run = start_run(store, ["A"], salt=salt)
    worker = store.processes.register(f"worker-{salt}")
    store.claims.finish(store.claims.take(worker, 1)[0], result)
    return run


def names(store: Store, run: str = "", at: datetime | None = None) -> dict[str, str]:
    found = store.ledger.as_of(["A"], run=run, at=at)["A"]
    assert not found.missing
    return {path: str(entry.leaves.get("tac", "")) for path, entry in found.ledger.items()}


def test_the_ledger_is_known_as_it_was(store: Store, clock: VirtualClock) -> None:
    digest, network = make_network()
    store.networks.save(network, digest, "ana")
    first = LedgerNode(path="/a", owners=("bitel", "entel"), leaves={"tac": "1", "refs": ("x", "y")}, first=True)
    store.devices.adopt("A", [first], digest, "ana")
    adopted = clock.now()
    gained = JobResult(Outcome.SUCCEEDED, gained=(node("/a", tac="2"), node("/b", tac="3")))
    one = work(store, clock, "1", gained)
    two = work(store, clock, "2", JobResult(Outcome.SUCCEEDED, gained=(node("/a", tac="4"),), lost=("/b",)))
    assert names(store, two.id) == {"/a": "2", "/b": "3"}
    assert names(store, one.id) == {"/a": "1"}
    entry = store.ledger.as_of(["A"], run=one.id)["A"].ledger["/a"]
    assert (entry.owners, entry.leaves, entry.first) == (first.owners, first.leaves, True)
    assert names(store, at=adopted + timedelta(seconds=30)) == {"/a": "1"}
    assert names(store, at=clock.now() + timedelta(seconds=1)) == {"/a": "4"}
    early = store.ledger.as_of(["A"], at=adopted - timedelta(seconds=1))["A"]
    assert early.missing == "nothing was ours here then"
    assert "changed nothing of ours here" in store.ledger.as_of(["A"], run="r-other")["A"].missing


def test_nodes_are_found_by_what_a_leaf_of_theirs_says(store: Store) -> None:
    digest, network = make_network()
    store.networks.save(network, digest, "ana")
    said = {"/a": {"use": "true"}, "/b": {"use": "false", "true": "x"}, "/c": {}, "/d": {"label": 'no "true" one'}}
    for station in ("A", "B"):
        nodes = [LedgerNode(path=f"{path}{station}", owners=("host",), leaves=leaves) for path, leaves in said.items()]
        store.devices.adopt(station, nodes, digest, "ana")
    found = store.ledger.saying("true")
    assert {station: list(entries) for station, entries in found.items()} == {"A": ["/aA"], "B": ["/aB"]}
    assert found["A"]["/aA"].leaves == {"use": "true"}


def test_paths_are_told_without_what_nodes_hold(store: Store) -> None:
    digest, network = make_network()
    store.networks.save(network, digest, "ana")
    for station in ("A", "B", "C"):
        store.devices.adopt(station, [node("/a", tac="1"), node("/b")], digest, "ana")
    found = store.ledger.paths(["A", "C", "D"])
    assert {station: sorted(paths) for station, paths in found.items()} == {"A": ["/a", "/b"], "C": ["/a", "/b"]}


def test_only_the_newest_changes_are_kept(store: Store, clock: VirtualClock) -> None:
    start = clock.now()
    for number in range(KEPT + 3):
        clock.pause(1)
        store.devices.adopt("A", [node("/a", tac=str(number))], "d", "ana")
    assert names(store, at=clock.now()) == {"/a": str(KEPT + 1)}
    assert names(store, at=start + timedelta(seconds=5)) == {"/a": "3"}
    assert store.ledger.as_of(["A"], at=start)["A"].missing.startswith("the record goes back to")


def test_deeds_tell_what_jobs_left(store: Store, clock: VirtualClock) -> None:
    before = clock.now()
    good = work(store, clock, "1", JobResult(Outcome.SUCCEEDED, gained=(node("/a"),)))
    work(store, clock, "2", JobResult(Outcome.ROLLED_BACK))
    one, two = store.runs.ended_jobs(["A", "B"], before)
    assert (one.run, one.procedure, one.cause, one.station) == (good.id, "apply", "person", "A")
    assert one.changes == store.plans.get(good.plan).changes
    assert one.before.absent == ("/a",)
    assert (two.outcome, two.changes, two.before.absent) == (Outcome.ROLLED_BACK, (), ())
    assert store.runs.ended_jobs(["A"], clock.now() + timedelta(seconds=1)) == []


def test_what_the_ledger_says_already_is_no_change_of_it(store: Store, clock: VirtualClock) -> None:
    before = clock.now()
    result = JobResult(Outcome.SUCCEEDED, gained=(node("/a", tac="1"), node("/b")), lost=("/gone",))
    first = work(store, clock, "1", result)
    again = work(store, clock, "1", JobResult(Outcome.UNCHANGED, gained=result.gained, lost=result.lost))
    assert first.plan == again.plan
    one, two = store.runs.ended_jobs(["A"], before)
    assert (one.before.absent, one.changes) == (("/a", "/b"), tuple(store.plans.get(first.plan).changes))
    assert (two.changes, two.before) == ((), LedgerBefore())
    # Of several nodes only those that change are kept.
    more = JobResult(Outcome.SUCCEEDED, gained=(node("/a", tac="2"), node("/b")))
    work(store, clock, "2", more)
    *_, three = store.runs.ended_jobs(["A"], before)
    assert [entry.path for entry in three.before.entries] == ["/a"]


def test_a_plan_that_was_applied_twice_left_its_change_twice(store: Store, clock: VirtualClock) -> None:
    before = clock.now()
    runs = [work(store, clock, "1", JobResult(Outcome.SUCCEEDED, gained=(node("/a"),))) for _ in range(2)]
    changes = tuple(store.plans.get(runs[0].plan).changes)
    assert [(ended.run, ended.changes) for ended in store.runs.ended_jobs(["A"], before)] == [
        (run.id, changes) for run in runs
    ]
