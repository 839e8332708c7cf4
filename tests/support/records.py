"""Small nouns for tests of the record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from controller.intent.folding import Folded, folded, identity
from controller.models.alarm import RecordedReport
from controller.models.network import Network, NetworkHeader
from controller.models.plan import Change, Edit, Fingerprint, LedgerNode, Op, Phase, PhaseKind, Plan
from controller.models.run import PERSON, JournalEntry, JournalStep, Run, RunState, Strategy
from controller.store import Claim, NewJob, PlanHead, Store, Transition
from controller.store.database.audit_chain import audit
from tests.support.launch import prepared

START = datetime(2026, 1, 1, tzinfo=UTC)
#: The greatest number that a database takes.
LAST_NUMBER = 2**63 - 1


def make_network(name: str = "Peru") -> tuple[str, Network]:
    """Digest and network."""
    network = Network(header=NetworkHeader(id="peru", name=name, country="PE", timezone="America/Lima"))
    return hashlib.sha256(name.encode()).hexdigest(), network


def stations(number: int) -> list[str]:
    """Station ids."""
    return [f"PE-{index:05}" for index in range(number)]


def head_of(plan: Plan) -> PlanHead:
    """A plan as lists show it."""
    return PlanHead(
        id=plan.id,
        created=plan.created,
        network_digest=plan.network_digest,
        selector=plan.selector,
        stations=len(plan.changes),
        unchanged=len(plan.unchanged),
        unplanned=len(plan.unplanned),
        findings=len(plan.findings),
    )


def make_change(station: str, edits: int = 1) -> Change:
    """A change that creates list entries on a station."""
    paths = [f"/ManagedElement[{station}]/ENBFunction[1]/EP_S1C[e{index}]" for index in range(edits)]
    return Change(
        station=station,
        phases=(
            Phase(
                kind=PhaseKind.EDIT,
                edits=tuple(
                    Edit(op=Op.CREATE, path=path, after={"remoteAddress": "10.0.0.1"}, owners=("entel",))
                    for path in paths
                ),
                inverse=tuple(
                    Edit(op=Op.DELETE, path=path, before={"remoteAddress": "10.0.0.1"}, owners=("entel",))
                    for path in paths
                ),
            ),
        ),
        diff=(),
        touched=("entel",),
        fingerprint=Fingerprint(paths=tuple(paths), digest="0" * 64),
        gained=tuple(LedgerNode(path=path, owners=("entel",)) for path in paths),
        reverts=True,
    )


def make_plan(names: Sequence[str], salt: str = "", edits: int = 1) -> Plan:
    """A plan that changes some stations."""
    digest = hashlib.sha256(repr((salt, list(names), edits)).encode()).hexdigest()
    return Plan(
        id=digest[:12],
        digest=digest,
        created=START,
        network="peru",
        network_digest=make_network()[0],
        selector="all",
        changes=tuple(make_change(name, edits) for name in names),
    )


def start_run(
    store: Store,
    names: Sequence[str],
    *,
    salt: str = "",
    strategy: Strategy | None = None,
    waves: int = 1,
    cause: str = PERSON,
) -> Run:
    """A running run whose first wave is claimable; stations go to waves in turn."""
    plan = make_plan(names, salt)
    store.plans.save(plan, "ana")
    jobs = [NewJob(index % waves, name) for index, name in enumerate(names)]
    run = store.runs.create(prepared(plan, "apply", strategy or Strategy(), jobs, actor="ana", cause=cause))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    return store.runs.get(run.id)


def make_entry(claim: Claim, seq: int, step: JournalStep = JournalStep.OPENED, persist: str = "") -> JournalEntry:
    """A journal row of a claim."""
    return JournalEntry(
        transaction=claim.transaction,
        job=claim.job.id,
        station=claim.job.station,
        seq=seq,
        at=START,
        step=step,
        persist=persist,
        deadline=START if persist else None,
    )


def replayed(recorded: Iterable[RecordedReport]) -> Iterator[tuple[RecordedReport, Folded]]:
    """Reports on record, in the order of their numbers, each with its alarm after it.

    The alarms are as they were by what sources said alone: without repairs, escalations and what people did.
    """
    newest: dict[str, Folded] = {}
    for one in recorded:
        key = identity(one.report)
        now, _ = folded(newest.get(key), one.report, partial(str, one.alarm))
        newest[key] = now = now.counted(one.count - 1)
        yield one, now


def forge_row(store: Store, action: str, target: str, number: int = LAST_NUMBER, detail: str = "{}") -> None:
    """Write a row of the audit trail as somebody does who can write to the database, and to nothing else."""
    row = {"id": number, "at": store.database.clock.now(), "actor": "eve", "action": action, "object": target}
    with store.database.engine.begin() as connection:
        connection.execute(audit.insert().values(**row, detail=detail, previous="0" * 64, hash="1" * 64, key=""))
