"""Moves of chance against the engine: runs, faults, kills and clocks as they come, and what must be true afterwards.

A round is some dozens of moves and then peace: whatever was broken is mended, and all runs must end.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from datetime import datetime

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from controller.drivers.fake import RUNNING_ONLY, SAFE, FakeDevice, Fault, FaultKind
from controller.models.errors import ConflictError, PlanRefusedError
from controller.models.network import Network, network_digest
from controller.models.people import Person, Role
from controller.models.plan import Edit, LedgerNode, Op, Plan
from controller.models.run import Job, Outcome, Policy, Run, Strategy
from controller.models.sharing import ActionClass, Consent
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Path, Tree
from controller.plan import PlanOptions, StationView
from controller.ports.queue import FakeWakeups
from controller.store import Page, RunRequest
from tests.chaos.faults.bench import FaultBench
from tests.chaos.faults.trail import Trail, assert_all_or_nothing, assert_all_stood, assert_whole, recorded
from tests.support.callers import agree
from tests.support.launch import submit
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import UNSAFE

STATIONS = ("S1", "S2", "S3", "S4")
#: Two tracking areas; the last station has no confirmed commit, the one before knows running only.
CAPABILITIES = {"S1": SAFE, "S2": SAFE, "S3": RUNNING_ONLY, "S4": UNSAFE}
#: Seconds that each operation takes: all different, so that what happens meanwhile happens between any two steps.
LATENCIES = {"S1": 0.05, "S2": 0.3, "S3": 0.1, "S4": 0.2}
ROOT = root_spec(samples.PROFILES)
#: Says yes for the tenant that comes and goes.
GUS = Person(name="gus", role=Role.TENANT_APPROVER, tenant="gamma")
#: Virtual seconds in which all runs end once nothing goes wrong any more.
PEACE = 900

at_station = st.sampled_from(STATIONS)
some_stations = st.sets(at_station, min_size=1)
some = st.integers(0, 7)
#: The acts that count come more often.
operations = st.sampled_from([
    "confirm", "confirm", "commit_confirmed", "commit_confirmed", "edit", "commit", "cancel", "read", "lock", "unlock",
    "discard", "read_candidate", "copy_to_startup", "kill",
])  # fmt: skip
#: What a run meets at its stations: an act that counts is not done, or not answered, or whoever works freezes there.
TROUBLES = tuple(
    itertools.product(
        ("confirm", "commit_confirmed", "commit", "edit", "cancel"), (FaultKind.LIE, FaultKind.LOSE_REPLY, None)
    )
)
troubles = st.tuples(st.sampled_from([*[("", None)] * 4, *TROUBLES]), st.sampled_from([0, 0, 1]))
strategies = st.builds(
    Strategy,
    policy=st.sampled_from(Policy),
    canary=st.integers(0, 1),
    wave_size=st.integers(1, 4),
    stop_after=st.integers(1, 4),
    confirm_timeout=st.sampled_from([20, 60]),
    check_timeout=st.sampled_from([1, 5]),
    patience=st.sampled_from([0, 0, 5, 30]),
)


def network(alfa: int, beta: int, pci: int, gamma: bool) -> Network:
    """Four stations in two tracking areas, with shares and cells as wanted."""
    base = samples.network()
    numbers = range(1, len(STATIONS) + 1)
    tenants = ("alfa", "beta", "gamma") if gamma else ("alfa", "beta")
    share = {"alfa": alfa, "beta": beta, "gamma": 20}
    cells = [
        {**cell, "pci": pci + cell["pci"], "tac": cell["tac"] + (n - 1) // 2}
        for n in numbers
        for cell in (samples._lte_cell(n), samples._nr_cell(n))
    ]
    return samples.network(
        tenants,
        sites=[{**base.sites[0].model_dump(mode="json"), "id": f"site-{n}"} for n in numbers],
        stations=[
            {
                **base.stations[0].model_dump(mode="json"),
                "id": f"S{n}", "site": f"site-{n}", "transport_address": f"10.0.0.{n}", "enb_id": n, "gnb_id": n,
            }
            for n in numbers
        ],
        cells=cells,
        agreements=[
            {
                "id": f"{name}-all", "tenant": name, "scope": {"everywhere": True},
                "shares": [{"dedicated": 5, "min": share[name], "max": 80}], "validity": {"start": "2024-01-01"},
                "consents": dict.fromkeys(ActionClass, Consent.STANDING),
            }
            for name in tenants
        ],
    )  # fmt: skip


class Chance(RuleBasedStateMachine):
    """Moves, and what must be true after them."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = FaultBench()
        self.plans: list[Plan] = []
        self.runs: list[str] = []
        #: Stations that nobody could read back for a while, or that lied about taking back.
        self.excused: set[str] = set()
        #: Stations that something happened to since the last peace: a decision to confirm may fail there.
        self.disturbed: set[str] = set()
        self.unrecorded: list[str] = []
        #: When the running of a station changed.
        self.changed: defaultdict[str, list[datetime]] = defaultdict(list)
        #: Stations that had diverged, and how much of their history a person then looked at.
        self.looked_at: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        """Adopted stations that carry the network, two workers and a scheduler."""
        self.network = network(20, 20, 0, gamma=False)
        self.bench.store.networks.save(self.network, network_digest(self.network), "ana")
        start = {}
        for station in STATIONS:
            tree = start[station] = samples.carrying(self.network, station).tree
            device = self.bench.devices.add(station, samples.PROFILES, tree, CAPABILITIES[station])
            device.latency = LATENCIES[station]
            self._watch(device)
            nodes = [LedgerNode(path=path, owners=("host",)) for path in tree]
            self.bench.store.devices.adopt(station, nodes, network_digest(self.network), "ana")
        self.trail = Trail(self.bench.store, ROOT, start)
        self.bench.start_scheduler()
        self.bench.start_worker()
        self.bench.start_worker()

    def _watch(self, device: FakeDevice) -> None:
        """No station may change while nothing on record says that somebody changes it."""
        become = device._become

        def watched(tree: Tree) -> None:
            if tree != device.history[-1]:
                self.changed[device.station].append(self.bench.clock.now())
                if not recorded(self.bench.store, device.station):
                    self.unrecorded.append(f"{device.station} at {self.bench.clock.monotonic():g} s")
            become(tree)

        device._become = watched  # type: ignore[method-assign]

    # ---------------------------------------------------------------- runs

    @rule(share=st.integers(10, 30), pci=st.integers(0, 2), gamma=st.booleans(),
          stations=some_stations, strategy=strategies, trouble=troubles)  # fmt: skip
    def change(
        self,
        share: int,
        pci: int,
        gamma: bool,
        stations: set[str],
        strategy: Strategy,
        trouble: tuple[tuple[str, FaultKind | None], int],
    ) -> None:
        """Somebody changes the network files, plans and applies."""
        self.network = network(share, 40 - share, pci, gamma)
        self.bench.store.networks.save(self.network, network_digest(self.network), "ana")
        made = self._planned(sorted(stations))
        if not made.is_empty:
            self.bench.store.plans.save(made, "ana")
            agree(self.bench.store, made, GUS, "the contract has ended")
            self.plans.append(made)
            self.start(0, strategy)
            (operation, wrong), skip = trouble
            if operation:
                self._break([change.station for change in made.changes], operation, wrong, skip)

    def _planned(self, stations: list[str]) -> Plan:
        """A plan, naming what it removes."""
        ledger = self.bench.store.ledger.find(stations)
        views = {
            station: StationView(self.bench.devices[station].observe(), adopted=True, ledger=ledger.get(station, {}))
            for station in stations
        }
        remove = {"gamma": 1}
        for _ in range(2):
            try:
                return samples.plan(self.network, views, PlanOptions(max_share=1.0, remove=remove))
            except PlanRefusedError as refused:
                told = re.findall(r"would remove (\d+) nodes of gamma", refused.message)
                remove = {"gamma": int(told[0]) if told else 0}
        raise AssertionError("the number that the refusal names is refused too")

    @precondition(lambda self: self.plans)
    @rule(which=some, strategy=strategies)
    def start(self, which: int, strategy: Strategy) -> None:
        """Somebody applies an older plan, perhaps once more, and before a run that is paused."""
        plan = self.plans[-1 - which % len(self.plans)]
        try:
            run = submit(
                self.bench.store, FakeWakeups(), RunRequest(plan=plan, actor="ana", strategy=strategy, overtake=True)
            )
        except ConflictError:
            assert plan.network_digest != network_digest(self.network)
            return
        self.runs.append(run.id)

    @precondition(lambda self: self.runs)
    @rule(which=some)
    def cancel(self, which: int) -> None:
        self.bench.store.runs.cancel(self.runs[-1 - which % len(self.runs)], "ana")

    @precondition(lambda self: self.runs)
    @rule(which=some, on=st.booleans())
    def pause(self, which: int, on: bool) -> None:
        request = self.bench.store.runs.pause if on else self.bench.store.runs.resume
        request(self.runs[-1 - which % len(self.runs)], "ana")

    # ------------------------------------------------------------- stations

    @rule(
        stations=some_stations,
        operation=operations,
        wrong=st.sampled_from(FaultKind),
        skip=st.sampled_from([0, 0, 1, 2]),
    )
    def break_operation(self, stations: set[str], operation: str, wrong: FaultKind, skip: int) -> None:
        self._break(sorted(stations), operation, wrong, skip)

    def _break(self, stations: list[str], operation: str, wrong: FaultKind | None, skip: int, times: int = 1) -> None:
        """What goes wrong with an operation; nothing but that the workers freeze in it if ``wrong`` is None."""
        for station in stations:
            self.disturbed.add(station)
            act = self._freeze_workers if wrong is None else None
            self.bench.devices[station].faults.append(Fault(operation, wrong, act, skip, times))
            if wrong in (FaultKind.LIE, FaultKind.REFUSE) and not CAPABILITIES[station].safe_commit:
                self.excused.add(station)  # taking back may be what it refuses

    @rule(station=at_station)
    def restart(self, station: str) -> None:
        self.disturbed.add(station)
        self.bench.devices[station].reboot()

    @rule(station=at_station, away=st.booleans(), seconds=st.sampled_from([0.0, 0.0, 4.0]), broken=st.booleans())
    def disturb(self, station: str, away: bool, seconds: float, broken: bool) -> None:
        """No way to the station, a slow one, or none from it to the core of the third tenant."""
        self.disturbed.add(station)
        device = self.bench.devices[station]
        device.unreachable = "no route to host" if away else ""
        self.excused |= {station} if away else set()
        device.latency = LATENCIES[station] + seconds
        device.broken_links = {f"/ManagedElement[{station}]/ENBFunction[1]/EP_S1C[gamma-mme]"} if broken else set()

    @rule(station=at_station, pci=st.integers(100, 102))
    def edit_by_hand(self, station: str, pci: int) -> None:
        """Somebody retunes a cell while nobody of ours is at the station."""
        device = self.bench.devices[station]
        if self.bench.store.claims.busy([station]) or device.pending:
            return
        path = f"/ManagedElement[{station}]/ENBFunction[1]/EUtranCellFDD[L1]"
        before = device.running[path]["pci"]
        edits = [Edit(op=Op.MERGE, path=path, before={"pci": before}, after={"pci": str(pci)}, owners=("host",))]
        self.trail.edit_by_hand(station, edits)
        seen = len(self.unrecorded)
        device.foreign_edit(edits)
        del self.unrecorded[seen:]

    # ------------------------------------------------------------ processes

    def _process(self, which: int) -> str | None:
        names = sorted(self.bench.processes)
        return names[which % len(names)] if names else None

    @rule(skew=st.sampled_from([0.0, 0.0, 3600.0, -3600.0]))
    def start_worker(self, skew: float) -> None:
        if len(self.bench.processes) < 3:
            self.bench.start_worker(skew)

    @rule(which=some, how=st.sampled_from(["kill -9", "its host vanishes", "SIGTERM"]))
    def end(self, which: int, how: str) -> None:
        name = self._process(which)
        if name and how == "SIGTERM":
            self.bench.ask_to_end(name)
        elif name:
            self.bench.kill(name, hung=how != "kill -9")

    def _freeze_workers(self) -> None:
        for name, process in self.bench.processes.items():
            if name.startswith("w"):
                process.life.thawed.clear()

    @rule(which=some, frozen=st.booleans())
    def freeze(self, which: int, frozen: bool) -> None:
        """SIGSTOP or SIGCONT."""
        name = self._process(which)
        if name and frozen:
            self.bench.processes[name].life.thawed.clear()
        elif name:
            self.bench.processes[name].life.thawed.set()

    @rule(which=some, away=st.booleans(), lost=st.integers(0, 3))
    def lose_database(self, which: int, away: bool, lost: int) -> None:
        """The database is away, or does what it was asked while its answers are lost."""
        name = self._process(which)
        if name:
            self.bench.processes[name].life.away = away
            self.bench.processes[name].life.lose += lost

    @invariant()
    def go_on(self) -> None:
        """Every move takes a moment; nothing changes on a station unless that is on record."""
        self.bench.advance(0.1)
        assert not self.unrecorded, f"changed with nothing on record: {self.unrecorded}"

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.0, 3.0, 8.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.bench.advance(seconds)

    # ---------------------------------------------------------------- peace

    @rule()
    def make_peace(self) -> None:
        """Mend everything; all runs end, and everything agrees."""
        for station in STATIONS:
            device = self.bench.devices[station]
            device.faults.clear()
            device.unreachable, device.latency, device.broken_links = "", LATENCIES[station], set()
        for process in (*self.bench.processes.values(), *self.bench.leaving):
            process.life.away, process.life.lose = False, 0
            process.life.thawed.set()
        for kind, start in (("w", self.bench.start_worker), ("s", self.bench.start_scheduler)):
            if not any(name.startswith(kind) for name in self.bench.processes):
                start()
        for run in self.bench.store.runs.active():
            self.bench.store.runs.resume(run, "ana")
        self._until_all_ended()
        self._check()

    def _until_all_ended(self) -> None:
        end = self.bench.clock.monotonic() + PEACE
        while self.bench.store.runs.active():
            left = [(run, self.bench.store.runs.jobs(run)) for run in self.bench.store.runs.active()]
            assert self.bench.clock.monotonic() < end, f"runs that don't end: {left}"
            self.bench.advance(2)

    def _check(self) -> None:
        assert_whole(self.bench.store)
        ledger = self.bench.store.ledger.find(STATIONS)
        for station, model in self.trail.replay().items():
            device = self.bench.devices[station]
            assert set(ledger[station]) == model.ledger, set(ledger[station]) ^ model.ledger
            if station in self.excused and device.lock_holder in self.bench.store.journal.lock_sessions(station):
                device.end(device.lock_holder)  # of a host that vanished: the next job here would kill it
            assert not device.lock_holder, station
            if model.unsure is not None:
                excused = self.excused | (self.disturbed if self._decided_together(station) else set())
                assert station in excused, f"{station} diverged: {self._diverged(station)}"
                self.trail.look_at(station, device.running)
                self.looked_at[station] = len(device.history)
                continue
            assert not device.pending, f"{station} will revert after all"
            assert device.running == model.tree, _difference(device.running, model.tree)
            assert model.ledger <= set(device.running) or station in self.looked_at, station
            seen = device.history[self.looked_at.get(station, 0) :]
            strange = [state for state in seen if state not in model.states]
            assert not strange, f"half a change on {station}: {_difference(strange[0], device.running)}"
        assert_all_or_nothing(self.bench.store, self.runs)
        assert_all_stood(self.bench.store, self.runs)
        self._check_outcomes()
        self.excused.clear()
        self.disturbed.clear()

    def _check_outcomes(self) -> None:
        """What is said to have been taken back was there."""
        for job in (job for run in self.runs for job in self.bench.store.runs.jobs(run)):
            if job.started is None or job.finished is None:
                continue
            touched = any(job.started <= at <= job.finished for at in self.changed[job.station])
            assert touched or job.outcome is not Outcome.ROLLED_BACK, f"never carried, {job}"

    def _diverged(self, station: str) -> list[tuple[Run, Job]]:
        """Newest first."""
        _, runs = self.bench.store.runs.page(Page(limit=1000))
        jobs = [(run, job) for run in runs for job in self.bench.store.runs.jobs(run.id) if job.station == station]
        return [(run, job) for run, job in jobs if job.outcome is Outcome.DIVERGED]

    def _decided_together(self, station: str) -> bool:
        return self._diverged(station)[0][0].strategy.policy is not Policy.STATION

    def teardown(self) -> None:
        try:
            self.make_peace()
        finally:
            self.bench.close()


def _difference(one: Tree, other: Tree) -> dict[Path, tuple[object, object]]:
    return {path: (one.get(path), other.get(path)) for path in {*one, *other} if one.get(path) != other.get(path)}
