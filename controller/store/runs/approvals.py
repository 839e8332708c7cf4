"""Votes on runs, freezes and overrides, and their effect on jobs."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from controller.access.votes import is_approved, unanswerable
from controller.models.approval import (
    Clearance,
    Contract,
    Freeze,
    NoticeKind,
    Override,
    Requirement,
    RunConstraints,
    Vote,
    VoteChoice,
)
from controller.models.errors import NotFoundError
from controller.models.people import Permission, Person
from controller.models.run import INSIDE, Hold, JobState, Policy, Run, RunState, Strategy, restarted
from controller.models.sharing import Consent
from controller.models.waiting import WaitCode, WaitReason
from controller.store.database.columns import Instant, metadata
from controller.store.database.queries import as_noun, chunks
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx
from controller.store.jobs.involvement import run_tenants
from controller.store.jobs.run_rows import ACTIVE, jobs, load_run, load_runs, packed_reasons, runs
from controller.store.network.holds import holds_in_force
from controller.store.network.versions import current_network
from controller.store.runs.run_constraints import (
    constraints_from,
    notices,
    notify,
    run_constraints,
    tell_decided,
    tell_overridden,
    tell_unanswered,
)
from controller.store.runs.runs import cancel_run
from controller.store.runs.votes import (
    PLAN_VOTES,
    allowed,
    approvers_now,
    cast_vote,
    handle_of,
    plans_of,
    stops_of,
    votes_on,
)


@dataclass(frozen=True, slots=True)
class ClearanceInput:
    """All data on record that the clearance of a run follows from.

    Attributes:
        requester: Who asked for the run.
        seconds: Time that a station needs within a window: the run's confirm time-out.
        constraints: The constraints under which it was accepted.
        votes: Votes on its subject.
        notified: When each tenant was notified of it.
        override: The override that lets it work in spite of windows and freezes, if there is one.
        holds: Holds in force.
        freezes: Freezes in force or to come.
        begun: Stations whose unit or wave is decided as a whole and has begun: they may go on until the window closes.
        away: When stations that were away or busy are tried again.
        owed: Stations whose function was begun: they are brought back, whatever forbids work to begin, except a hold.
        over: Stations whose work has ended, or never begins since their part of the plan is void.
        unanswered: Approvals that are missing, and that fewer users may give now than are needed.
    """

    requester: str
    seconds: float
    constraints: RunConstraints
    votes: tuple[Vote, ...] = ()
    notified: Mapping[str, datetime] = field(default_factory=dict)
    override: Override | None = None
    holds: tuple[Hold, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    begun: frozenset[str] = frozenset()
    away: Mapping[str, datetime] = field(default_factory=dict)
    owed: frozenset[str] = frozenset()
    over: frozenset[str] = frozenset()
    unanswered: frozenset[Requirement] = frozenset()

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Approvals and notices that count now: nobody is asked for work that is over."""
        return self.constraints.needed_without(self.over) if self.over else self.constraints.requirements


#: Clearances by station.
Clearances = Mapping[str, Clearance]


Assess = Callable[[ClearanceInput], Clearances]


overrides = Table(
    "overrides",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", Instant, nullable=False),
    # As of ``votes``.
    Column("stops", Integer, nullable=False, server_default="0"),
)

freezes = Table(
    "freezes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("target", String, nullable=False),
    Column("begins", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("created", Instant, nullable=False),
    Column("lifted", Instant),
    Column("warning", String, nullable=False, server_default=""),
)

_WITH_TERMS = select(
    runs.c.id, runs.c.requested_by, runs.c.strategy, runs.c.wave, run_constraints.c.subject, run_constraints.c.content
).join(run_constraints, run_constraints.c.run == runs.c.id)
_ACTIVE = _WITH_TERMS.where(runs.c.state.in_(ACTIVE)).order_by(runs.c.number)
_IN_FORCE = (
    select(freezes)
    .where(
        or_(freezes.c.lifted.is_(None), freezes.c.lifted > bindparam("at", type_=Instant())),
        freezes.c.ends > bindparam("at", type_=Instant()),
    )
    .order_by(freezes.c.begins, freezes.c.number)
)
_OVERRIDE = select(overrides).where(overrides.c.run == bindparam("run"))
_OVERRIDDEN = select(overrides.c.run).join(runs, runs.c.id == overrides.c.run).where(runs.c.state.in_(ACTIVE))
_PLANNED = select(notices.c.tenant, notices.c.at).where(
    notices.c.run == bindparam("run"), notices.c.kind == NoticeKind.PLANNED.value
)
_OPEN_JOBS = select(jobs.c.id, jobs.c.station, jobs.c.reasons, jobs.c.closes).where(
    jobs.c.run == bindparam("run"), jobs.c.state != JobState.DONE.value
)
#: Stations of a run without any job that is under way, or may begin; those that come back with their function may.
_MAY_BEGIN = or_(jobs.c.outdated.is_(None), jobs.c.rank.in_(INSIDE), jobs.c.state == JobState.CLAIMED.value)
_OVER = (
    select(jobs.c.station)
    .where(jobs.c.run == bindparam("run"))
    .group_by(jobs.c.station)
    .having(func.sum(case((and_(jobs.c.state != JobState.DONE.value, _MAY_BEGIN), 1), else_=0)) == 0)
)
_AWAY = select(jobs.c.station, jobs.c.rests).where(
    jobs.c.run == bindparam("run"),
    jobs.c.deferred.is_not(None),
    jobs.c.started.is_(None),
    jobs.c.rests.is_not(None),
)
_INSIDE = select(jobs.c.station, jobs.c.wave, jobs.c.unit).where(
    jobs.c.run == bindparam("run"),
    jobs.c.rank.in_(INSIDE),
    jobs.c.state.in_([JobState.WAITING.value, JobState.READY.value]),
    jobs.c.wave <= select(runs.c.wave).where(runs.c.id == bindparam("run")).scalar_subquery(),
)
_FUNCTIONS = select(jobs.c.wave, jobs.c.unit, jobs.c.rank, jobs.c.started, jobs.c.outcome).where(
    jobs.c.run == bindparam("run"), jobs.c.rank < min(INSIDE), jobs.c.wave.in_(bindparam("waves", expanding=True))
)
_OPENED = select(jobs.c.station, jobs.c.wave, jobs.c.unit, jobs.c.round, jobs.c.started).where(
    jobs.c.run == bindparam("run"), jobs.c.wave.between(bindparam("first"), bindparam("last"))
)

log = structlog.get_logger()


def _going(subject: str, tenant: str) -> Select[Any]:
    """Active runs that a vote is about, oldest first; of a tenant, only those whose part in them has not ended."""
    constraints = run_constraints.c
    meant = or_(constraints.subject == subject, constraints.plan == subject, constraints.plan.in_(plans_of(subject)))
    going = select(constraints.run, constraints.subject).join(runs, runs.c.id == constraints.run)
    going = going.where(meant, runs.c.state.in_(ACTIVE)).order_by(runs.c.number)
    if not tenant:
        return going
    mine = and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station)
    to_come = exists().where(
        jobs.c.run == constraints.run, mine, run_tenants.c.tenant == tenant, jobs.c.state != JobState.DONE.value
    )
    return going.where(to_come)


def _plan_of(tx: Tx, subject: str, tenant: str) -> str:
    """The subject under which a side votes on the plan of a run; of anything else, its own subject."""
    plan = tx.execute(select(run_constraints.c.plan).where(run_constraints.c.subject == subject)).scalar()
    return ((tenant and handle_of(tx, plan, tenant)) or plan) if plan else subject


class Approvals(Repository[M_co]):
    """Votes of people on runs, and what runs may do in consequence."""

    @writes
    def reassess(self, tx: Tx, assess: Assess, seen: Mapping[str, Clearances]) -> dict[str, Clearances]:
        """Let ``assess`` judge each active run with constraints, and keep the result on its jobs.

        Only one process at a time does this, so that the clearance of a job is never older than the data it follows
        from. ``assess`` must be pure; if it fails, the run's jobs are blocked.

        Args:
            assess: Works out clearances from a run's input.
            seen: The last result of this method; runs whose input did not change are not assessed again.

        Returns:
            Clearances of each run.
        """
        tx.guard("clearance")
        rows = tx.execute(_ACTIVE).all()
        if not rows:
            return {}
        bounds = _bounds(tx)
        found: dict[str, Clearances] = {}
        deaf: dict[str, ClearanceInput] = {}
        for row in rows:
            try:
                standing = _standing(tx, row, bounds)
            except ValueError as error:
                # A newer version wrote this run, and maintains it.
                log.info("run.of_a_newer_version", run=row.id, reason=str(error))
            else:
                found[row.id] = _assessed(assess, standing)
                if standing.unanswered:
                    deaf[row.id] = standing
        found |= waiting_for_others(tx, [row for row in rows if row.id in found], found)
        for run_id, said in found.items():
            if seen.get(run_id) != said:
                _keep(tx, run_id, said)
        for run_id, standing in deaf.items():
            tell_unanswered(tx, run_id, standing.constraints, standing.unanswered)
        return found

    @reads
    def standing(self, tx: Tx, run_id: str, tenant: str = "") -> ClearanceInput | None:
        """The input for the clearance of a run; None if it has no constraints, or does not concern the tenant."""
        row = tx.execute(_of_side(_WITH_TERMS, tenant).where(runs.c.id == run_id)).one_or_none()
        return None if row is None else _standing(tx, row, _bounds(tx))

    @reads
    def standings(self, tx: Tx, tenant: str = "") -> list[tuple[Run, ClearanceInput]]:
        """Active runs with constraints, oldest first; only those that concern a tenant if one is named."""
        rows, bounds = tx.execute(_of_side(_ACTIVE, tenant)).all(), _bounds(tx)
        found = {run.id: run for run in load_runs(tx, [row.id for row in rows])}
        return [(found[row.id], _standing(tx, row, bounds)) for row in rows]

    @writes
    def vote(
        self,
        tx: Tx,
        subject: str,
        person: Person,
        choice: VoteChoice,
        reason: str,
        about: str,
        contracts: tuple[Contract, ...] = (),
    ) -> Vote:
        """Keep a person's vote on a subject, in place of an earlier one.

        A yes counts for one run: one to a plan goes to the oldest run of it that is under way, or else to the next one
        that is accepted, and is spent by it. A no to a plan, or to a run of it, stands against the plan until its
        person says yes to that, and turns active runs of the plan into ``cancelling``; that of a tenant only those
        whose part with the tenant has not ended.

        Args:
            subject: ``RunConstraints.subject`` of a run on record, or of a plan its digest; a tenant's people vote on
                their name of a plan.
            person: Who votes.
            choice: The vote.
            reason: Why.
            about: Plan or run, for the audit trail.
            contracts: Contractual reasons.
        """
        tx.guard(PLAN_VOTES)
        said = (person, choice, reason, about, contracts)
        if choice is VoteChoice.APPROVE:
            # A yes to a plan counts for its run that is under way, else for the next one.
            not_stopped = runs.c.state != RunState.CANCELLING.value
            going = tx.execute(_going(subject, person.tenant).where(not_stopped)).first()
            if going is None:
                return cast_vote(tx, subject, *said)
            vote = cast_vote(tx, going.subject, *said)
            if contracts and vote.at == tx.now:  # else it was said before
                of = select(run_constraints.c.content).where(run_constraints.c.run == going.run)
                tell_decided(tx, going.run, constraints_from(tx.execute(of).scalar_one()), vote)
            return vote
        vote = cast_vote(tx, subject, *said)
        # A no to a run of a plan is one to the plan: each run of it ends, and no further one begins.
        plan = _plan_of(tx, subject, person.tenant)
        others = [plan] if plan != subject else []
        for row in tx.execute(_going(plan, person.tenant)).all():
            others += [row.subject] if row.subject != subject else []
            cancel_run(tx, row.run, person.name)
        for other in others:
            cast_vote(tx, other, *said, noted=False)
        return vote

    @reads
    def unanswerable(self, tx: Tx, requirements: Iterable[Requirement], requester: str) -> frozenset[Requirement]:
        """Approvals that fewer users may give now than are needed; of the host's own, ``requester`` is none of them."""
        return unanswerable(requirements, approvers_now(tx), requester)

    @reads
    def votes(self, tx: Tx, subject: str) -> list[Vote]:
        """The last vote of each person on a subject, in order of time."""
        return votes_on(tx, subject)

    @writes
    def override(self, tx: Tx, run_id: str, by: str, reason: str) -> Override:
        """Let a run work in spite of windows and freezes. Raises NotFoundError.

        The first reason stays while the person who gave it may override.
        """
        load_run(tx, run_id)
        made = Override(run=run_id, by=by, reason=reason, at=tx.now)
        if kept := _override(tx, run_id):
            return kept
        row = tx.insert(overrides).values(made.model_dump() | {"stops": stops_of(tx, by)})
        said = {name: row.excluded[name] for name in ("by", "reason", "at", "stops")}
        tx.execute(row.on_conflict_do_update(index_elements=["run"], set_=said))
        tx.note(by, "run.overridden", run_id, reason=reason)
        _tell_overridden(tx, run_id, made)
        return made


class Freezes(Repository[M_co]):
    """Times in which nothing may change."""

    @writes
    def add(self, tx: Tx, target: str, begins: datetime, ends: datetime, by: str, reason: str) -> Freeze:
        """Put a freeze."""
        made = _freeze(tx, target, begins, ends, by, reason)
        kind, _, tenant = target.partition(":")
        for run_id in tx.execute(_OVERRIDDEN).scalars().all() if kind == "tenant" else ():
            if override := _override(tx, run_id):
                _tell_overridden(tx, run_id, override, tenant)
        return made

    @writes
    def end(self, tx: Tx, freeze_id: str, actor: str) -> None:
        """End a freeze now. Raises NotFoundError."""
        in_force = and_(freezes.c.id == freeze_id, freezes.c.lifted.is_(None))
        row = tx.execute(select(freezes).where(in_force).with_for_update()).one_or_none()
        if row is None:
            raise NotFoundError.of("freeze", freeze_id)
        tx.execute(update(freezes).where(in_force).values(lifted=tx.now))
        tx.note(actor, "freeze.lifted", row.target, freeze=freeze_id)
        kind, _, tenant = row.target.partition(":")
        if kind == "tenant" and row.ends > tx.now:
            words = f"the host lifted the freeze of your network before its end at {row.ends:%Y-%m-%d %H:%M} UTC"
            notify(tx, None, tenant, NoticeKind.FREEZE_LIFTED, [], f"{words}; it was put for: {row.reason}", None)

    @writes
    def warn(
        self, tx: Tx, warning: str, targets: Sequence[str], begins: datetime, ends: datetime, by: str, reason: str
    ) -> list[Freeze]:
        """Set the freezes of a public warning, in place of its earlier ones; equal ones change nothing."""
        tx.guard("warnings")
        known = _of_warning(tx, warning)
        same = [one for one in known if (one.ends, one.reason) == (ends, reason)]
        if sorted(one.target for one in known) == sorted(one.target for one in same) == sorted(targets):
            return known
        _lift(tx, known, by)
        return [_freeze(tx, target, begins, ends, by, reason, warning) for target in targets]

    @writes
    def end_warning(self, tx: Tx, warning: str, actor: str) -> None:
        """End the freezes of a public warning. Raises NotFoundError if it has none."""
        known = _of_warning(tx, warning)
        if not known:
            raise NotFoundError.of("public warning", warning)
        _lift(tx, known, actor)

    @reads
    def find(self, tx: Tx, at: datetime) -> list[Freeze]:
        """Freezes in force or to come, in the order of their begins."""
        return _freezes(tx, at)


def _freeze(tx: Tx, target: str, begins: datetime, ends: datetime, by: str, reason: str, warning: str = "") -> Freeze:
    freeze = Freeze(
        id=f"f-{secrets.token_hex(4)}",
        target=target,
        begins=begins,
        ends=ends,
        by=by,
        reason=reason,
        created=tx.now,
        warning=warning,
    )
    tx.execute(freezes.insert().values(freeze.model_dump()))
    detail = {"freeze": freeze.id, "begins": begins.isoformat(), "ends": ends.isoformat(), "reason": reason}
    tx.note(by, "freeze.put", target, **detail, **({"warning": warning} if warning else {}))
    return freeze


def _of_warning(tx: Tx, warning: str) -> list[Freeze]:
    return [freeze for freeze in _freezes(tx, tx.now) if freeze.warning == warning]


def _lift(tx: Tx, known: Iterable[Freeze], actor: str) -> None:
    for freeze in known:
        tx.execute(update(freezes).where(freezes.c.id == freeze.id).values(lifted=tx.now))
        tx.note(actor, "freeze.lifted", freeze.target, freeze=freeze.id, warning=freeze.warning)


_Bounds = tuple[tuple[Hold, ...], tuple[Freeze, ...], Callable[[], list[Person]]]


def _bounds(tx: Tx) -> _Bounds:
    """Holds, freezes, and who may approve, which is asked at most once."""
    return tuple(holds_in_force(tx, tx.now)), tuple(_freezes(tx, tx.now)), cache(lambda: approvers_now(tx))


def _freezes(tx: Tx, at: datetime) -> list[Freeze]:
    return [as_noun(Freeze, row) for row in tx.execute(_IN_FORCE, {"at": at})]


def _override(tx: Tx, run_id: str) -> Override | None:
    """The override of a run, provided that its author may still override, and could ever since."""
    row = tx.execute(_OVERRIDE, {"run": run_id}).one_or_none()
    if row is None or not allowed(tx, [row.by], Permission.OVERRIDE) or row.stops != stops_of(tx, row.by):
        return None
    return Override(**{name: row._mapping[name] for name in Override.model_fields})


def _tell_overridden(tx: Tx, run_id: str, override: Override, only: str = "") -> None:
    """Tell tenants of a run, or one of them only, which of their windows and freezes an override of it beats."""
    content = tx.execute(select(run_constraints.c.content).where(run_constraints.c.run == run_id)).scalar()
    if content is not None:
        constraints = constraints_from(content)
        tenants = [tenant for tenant in constraints.tenants if only in ("", tenant)]
        tell_overridden(tx, run_id, constraints, override, _freezes(tx, tx.now), tenants)


def _of_side(query: Select[Any], tenant: str) -> Select[Any]:
    """Limit a query of runs to those that concern a tenant, if one is named."""
    concerned = exists().where(run_tenants.c.tenant == tenant, run_tenants.c.run == runs.c.id)
    return query.where(concerned) if tenant else query


def _standing(tx: Tx, row: Row[Any], bounds: _Bounds) -> ClearanceInput:
    constraints, strategy = constraints_from(row.content), Strategy.model_validate_json(row.strategy)
    sent = tx.execute(_PLANNED, {"run": row.id}) if constraints.tenants else ()
    said = tuple(votes_on(tx, row.subject))
    asks = any(one.consent is Consent.APPROVAL for one in constraints.requirements)
    if asks and (current := current_network(tx)):
        constraints = constraints.with_approvers_of(current[1])
    over = frozenset(tx.execute(_OVER, {"run": row.id}).scalars()) if constraints.requirements else frozenset()
    open_ones = constraints.needed_without(over) if over else constraints.requirements
    missing = [one for one in open_ones if not is_approved(one, said, row.requested_by)] if asks else []
    return ClearanceInput(
        requester=row.requested_by,
        seconds=strategy.timer(),
        constraints=constraints.model_copy(update={"subject": row.subject}),
        votes=said,
        notified={row.tenant: row.at for row in sent},
        override=_override(tx, row.id),
        holds=bounds[0],
        freezes=bounds[1],
        begun=_begun(tx, row, strategy) if any(group.calendars for group in constraints.groups) else frozenset(),
        away=_away(tx, row.id) if strategy.patience else {},
        owed=_owed(tx, row.id) if strategy.policy is Policy.STATION else frozenset(),
        over=over,
        unanswered=unanswerable(missing, bounds[2](), row.requested_by) if missing else frozenset(),
    )


def _away(tx: Tx, run_id: str) -> dict[str, datetime]:
    """When stations that were away are tried again, unless they began since."""
    return {row.station: row.rests for row in tx.execute(_AWAY, {"run": run_id})}


def _owed(tx: Tx, run_id: str) -> frozenset[str]:
    """Stations that have not begun although the function that they live in has."""
    inside = tx.execute(_INSIDE, {"run": run_id}).all()
    if not inside:
        return frozenset()
    waves = sorted({row.wave for row in inside})
    units = restarted(tx.execute(_FUNCTIONS, {"run": run_id, "waves": waves}))
    return frozenset(row.station for row in inside if (row.wave, row.unit) in units)


def _begun(tx: Tx, run: Row[Any], strategy: Strategy) -> frozenset[str]:
    """Stations whose unit or wave has begun; empty where each station is decided on its own."""
    if strategy.policy is Policy.STATION:
        return frozenset()
    # Stations that were away are tried again although a later wave is open.
    first = 0 if strategy.patience else run.wave
    rows = tx.execute(_OPENED, {"run": run.id, "first": first, "last": run.wave}).all()
    units = strategy.policy is Policy.UNIT
    group = {row.station: (row.wave, row.unit if units else "", row.round) for row in rows}
    begun = {group[row.station] for row in rows if row.started is not None}
    return frozenset(station for station, key in group.items() if key in begun)


def _assessed(assess: Assess, standing: ClearanceInput) -> Clearances:
    """The result of ``assess``. If it fails, nothing of this run may begin, and other runs are still assessed."""
    try:
        return assess(standing)
    except Exception:
        log.exception("clearance.bug", subject=standing.constraints.subject)
        unclear = Clearance((WaitReason(code=WaitCode.BUG),))
        return dict.fromkeys(standing.constraints.stations, unclear)


def _keep(tx: Tx, run_id: str, said: Clearances) -> None:
    """Write what each job may do now, where the record says something else."""
    rows = tx.execute(_OPEN_JOBS, {"run": run_id}).all()
    changed = [
        {"changed": row.id, "reasons": why, "closes": now.closes}
        for row in rows
        if (now := said.get(row.station)) is not None
        and (row.reasons, row.closes) != ((why := packed_reasons(now.reasons)), now.closes)
    ]
    if changed:
        tx.execute(update(jobs).where(jobs.c.id == bindparam("changed")), changed)
    freed = [row.id for row in rows if row.reasons and (now := said.get(row.station)) and not now.reasons]
    for ids in chunks(freed):
        # A job that may begin only from now on has not waited for a worker yet.
        tx.execute(update(jobs).where(jobs.c.id.in_(ids), jobs.c.ready.is_not(None)).values(ready=tx.now))


#: Wave, round, and the unit if it begins again by itself (otherwise empty).
_Key = tuple[int, int, str]
#: Stations not done, by wave; and the waves that have begun.
_Waves = tuple[dict[_Key, list[str]], set[_Key]]


def waiting_for_others(tx: Tx, rows: Sequence[Row[Any]], said: Mapping[str, Clearances]) -> dict[str, Clearances]:
    """New clearances of runs that have to wait for stations of another run.

    A station that is decided with others stays reserved while the others are prepared. So two groups that share a
    station may not be under way at once: each could hold stations that the other waits for, until their timers expire.
    The first group that may begin goes first.

    Args:
        tx: The transaction.
        rows: Active runs, oldest first, with ``id`` and ``strategy``.
        said: Clearances of each run so far.
    """
    policies = {row.id: policy for row in rows if (policy := _policy(row)) is not Policy.STATION}
    grouped = list(policies)
    if len(grouped) < 2:
        return {}
    waves = _waves(tx, policies)
    holders = {
        station: run
        for run in grouped
        for wave, names in waves[run][0].items()
        if wave in waves[run][1]
        for station in names
    }
    found: dict[str, Clearances] = {}
    for run in grouped:
        left, begun = waves[run]
        # The next wave too, since it may open before the next round; and all units and waves that begin again.
        soon = [*sorted(wave for wave in left if wave[1]), *sorted(wave for wave in left if not wave[1])[:2]]
        for wave in [wave for wave in soon if wave not in begun]:
            clash = next((name for name in left[wave] if holders.get(name, run) != run), None)
            if clash is not None:
                why = WaitReason(code=WaitCode.RUN, subject=holders[clash], device=clash)
                found[run] = {**found.get(run, said[run]), **{name: _also(said[run], name, why) for name in left[wave]}}
            elif not any(said[run][name].reasons for name in left[wave] if name in said[run]):
                holders |= dict.fromkeys(left[wave], run)
    return found


def _policy(row: Row[Any]) -> Policy:
    return Strategy.model_validate_json(row.strategy).policy


def _waves(tx: Tx, policies: Mapping[str, Policy]) -> Mapping[str, _Waves]:
    found: dict[str, _Waves] = {run: (defaultdict(list), set()) for run in policies}
    columns = (jobs.c.run, jobs.c.wave, jobs.c.round, jobs.c.unit, jobs.c.station, jobs.c.state, jobs.c.started)
    query = select(*columns).order_by(jobs.c.station)
    for row in tx.rows(query, jobs.c.run, policies):
        left, begun = found[row.run]
        alone = row.round and policies[row.run] is Policy.UNIT
        key = (row.wave, row.round, row.unit if alone else "")
        if row.state != JobState.DONE.value:
            left[key].append(row.station)
        if row.started is not None:
            begun.add(key)
    return found


def _also(said: Clearances, station: str, why: WaitReason) -> Clearance:
    """The clearance of a station, with the addition that it waits for another run."""
    known = said.get(station, Clearance())
    return replace(known, reasons=(*known.reasons, why))
