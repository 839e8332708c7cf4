"""The checker: plays the audit trail again, from the adoption on, and compares stations and record with it.

Nothing of the engine's own judgement is used but its outcomes, which are what is to be proven.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.models.errors import DeviceRefusedError
from controller.models.plan import Change, Edit, Phase
from controller.models.run import AuditRow, GateChoice, Job, JobState, Outcome, Policy, RunState
from controller.nrm.apply import apply_edits
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Path, Tree
from controller.store import Page, Store

#: On the trail for what somebody does by hand, which only tests do.
BY_HAND = "station.edited"
LOOKED_AT = "station.looked-at"
#: Journal steps without which no station may change.
MARKS = "('committing', 'prepared', 'confirming', 'cancelling', 'reverting')"


@dataclass
class Model:
    """What one station should carry, as the trail has it.

    Attributes:
        tree: What it carries.
        ledger: Paths that are ours.
        states: Everything that its running may ever have been: whole phases only.
        unsure: It ended ``diverged`` and nobody looked yet: it carries the one or the other.
    """

    tree: Tree
    ledger: set[Path] = field(default_factory=set)
    states: list[Tree] = field(default_factory=list)
    unsure: Tree | None = None


def rows_of(store: Store) -> list[AuditRow]:
    """The whole trail, oldest first."""
    _, rows = store.audit.page(Page(limit=1_000_000))
    return sorted(rows, key=lambda row: row.id)


def recorded(store: Store, station: str) -> bool:
    """Whether a transaction is under way on a station and on record as changing it."""
    text = (
        'SELECT count(*) FROM journal j JOIN leases l ON j."transaction" = l."transaction" '
        f"WHERE l.station = '{station}' AND j.step IN {MARKS}"
    )
    with store.database.engine.connect() as connection:
        return bool(connection.exec_driver_sql(text).scalar_one())


class Trail:
    """The audit trail of a bench, and the plans behind it."""

    def __init__(self, store: Store, root: NodeSpec, start: Mapping[str, Tree]) -> None:
        self._store = store
        self._root = root
        self._start = {station: dict(tree) for station, tree in start.items()}
        self._by_hand: dict[str, Sequence[Edit]] = {}
        self._looks: dict[str, Tree] = {}

    def edit_by_hand(self, station: str, edits: Sequence[Edit]) -> None:
        """Put on the trail that somebody edits a station past all locks."""
        name = str(len(self._by_hand))
        self._by_hand[name] = edits
        self._store.audit.append("somebody", BY_HAND, station, {"edit": name})

    def look_at(self, station: str, found: Tree) -> None:
        """Put on the trail that a person looked at a station that had diverged."""
        name = str(len(self._looks))
        self._looks[name] = dict(found)
        self._store.audit.append("somebody", LOOKED_AT, station, {"found": name})

    def replay(self) -> dict[str, Model]:
        """What each station should carry by now."""
        models = {station: Model(dict(tree), states=[dict(tree)]) for station, tree in self._start.items()}
        changes = self._changes()
        for station, model in models.items():
            for change in changes[station].values():
                self._may_become(model, change)
        for row in rows_of(self._store):
            if row.action == "station.adopted" and row.object in models:
                models[row.object].ledger = set(models[row.object].tree)
            elif row.action == BY_HAND:
                edits = self._by_hand[row.detail["edit"]]
                self._found(
                    models[row.object], apply_edits(self._root, models[row.object].tree, edits), changes[row.object]
                )
            elif row.action == LOOKED_AT:
                self._found(models[row.object], self._looks[row.detail["found"]], changes[row.object])
            elif row.action == "job.finished":
                run, _, station = row.object.split(".")
                self._finished(models[station], changes[station], run, Outcome(row.detail["outcome"]))
        return models

    def _changes(self) -> dict[str, dict[str, Change]]:
        """By station and run, what the run's plan does there."""
        _, runs = self._store.runs.page(Page(limit=10_000))
        found: dict[str, dict[str, Change]] = defaultdict(dict)
        for run in sorted(runs, key=lambda run: run.created):
            for change in self._store.plans.get(run.plan).changes:
                found[change.station][run.id] = change
        return found

    def _found(self, model: Model, tree: Tree, changes: Mapping[str, Change]) -> None:
        """It carries this now, whatever it was before."""
        model.tree, model.unsure = tree, None
        model.states.append(tree)
        for change in changes.values():
            self._may_become(model, change)

    def _may_become(self, model: Model, change: Change) -> None:
        """Note what running may be while a change is under way from any state that it fits."""
        for state in tuple(model.states):
            tree = state
            for phase in change.phases:
                carried = self._carried_out(phase, tree)
                if carried is None:
                    break
                tree = carried
                if tree not in model.states:
                    model.states.append(tree)

    def _carried_out(self, phase: Phase, tree: Tree) -> Tree | None:
        """The tree after a phase; None where it does not fit, so that its inverse would lead elsewhere."""
        try:
            after = apply_edits(self._root, tree, phase.edits)
            return after if apply_edits(self._root, after, phase.inverse) == tree else None
        except DeviceRefusedError:
            return None

    def _finished(self, model: Model, changes: Mapping[str, Change], run: str, outcome: Outcome) -> None:
        change = changes[run]
        if not outcome.good and outcome is not Outcome.DIVERGED:
            return
        after = model.tree
        if outcome not in (Outcome.UNCHANGED, Outcome.SKIPPED):
            for phase in change.phases:
                after = apply_edits(self._root, after, phase.edits)
        if outcome is Outcome.DIVERGED:
            model.unsure = after
            return
        model.tree = after
        if after not in model.states:
            # Runs need not end in the order in which they were asked for: the others may begin here, too.
            model.states.append(after)
            for other in changes.values():
                self._may_become(model, other)
        model.ledger = (model.ledger - set(change.lost)) | {node.path for node in change.gained}


def assert_whole(store: Store) -> None:
    """Every run ended once, every job has one outcome, one journal end and one audit row; nothing is left over."""
    assert store.audit.verify() is None
    rows = rows_of(store)
    finished: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.action == "job.finished":
            finished[row.object].append(row.detail["outcome"])
    ends: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.action == "run.advanced" and RunState(row.detail["after"]).terminal:
            ends[row.object].append(row.detail["after"])
    journal = _journal_ends(store)
    _, runs = store.runs.page(Page(limit=10_000))
    for run in runs:
        assert ends[run.id] == [run.state.value], (run, ends[run.id])
        for job in store.runs.jobs(run.id):
            assert job.state is JobState.DONE, job
            assert job.outcome is not None, job
            begun = job.started is not None and job.outcome is not Outcome.CANCELLED
            last = [job.outcome.value] if begun else []
            # Who was away when its wave was postponed began again with it.
            away = [Outcome.DEFERRED.value] * (len(finished[job.id]) - len(last))
            assert len(away) <= (job.round if run.strategy.policy is Policy.WAVE else 0), (job, finished[job.id])
            assert finished[job.id] == journal[job.id] == [*away, *last], (job, finished[job.id], journal[job.id])
        assert not store.claims.busy(job.station for job in store.runs.jobs(run.id)), run


def _journal_ends(store: Store) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    with store.database.engine.connect() as connection:
        # One that was postponed began again, with another transaction.
        text = "SELECT job, detail FROM journal WHERE step = 'finished' AND detail != 'postponed' ORDER BY at"
        rows: Any = connection.exec_driver_sql(text)
        for job, detail in rows:
            found[job].append(detail)
    return found


def assert_all_or_nothing(store: Store, runs: Iterable[str]) -> None:
    """Of what is decided together all carry the change or none, but for those that were away or diverged, by name."""
    for run in map(store.runs.get, runs):
        groups: dict[tuple[int, str, int], list[Job]] = defaultdict(list)
        for job in store.runs.jobs(run.id):
            # Who of a wave was away is decided by itself in a later round.
            key = (job.unit, 0) if run.strategy.policy is Policy.UNIT else ("", job.round)
            groups[job.wave, *key].append(job)
        for group in groups.values() if run.strategy.policy is not Policy.STATION else ():
            away = {job.unit for job in group if job.outcome is Outcome.DEFERRED}
            stood = [job for job in group if not (run.strategy.policy is Policy.WAVE and job.unit in away)]
            outcomes = {job.outcome for job in stood} - {Outcome.UNCHANGED, Outcome.SKIPPED, Outcome.DIVERGED}
            assert Outcome.SUCCEEDED not in outcomes or outcomes == {Outcome.SUCCEEDED}, (run, group)


def assert_all_stood(store: Store, runs: Iterable[str]) -> None:
    """Nothing was decided to be confirmed that had not stood at its gate, prepared and verified."""
    with store.database.engine.connect() as connection:
        stood = set(connection.exec_driver_sql("SELECT job FROM journal WHERE step = 'gated'").scalars())
    for job in (job for run in runs for job in store.runs.jobs(run)):
        assert job.choice is not GateChoice.CONFIRM or job.id in stood, job
