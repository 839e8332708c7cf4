"""Approvals: pending ones, votes, notices to tenants; overrides of windows and freezes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from controller.access.disclosure import TenantChange, involved
from controller.access.tenant_scope import tenant_scope
from controller.access.votes import is_approved
from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Contracts, Listing, Paging, Services, cut, listing
from controller.api.views import CallerView
from controller.inventory.source import Report
from controller.models.approval import (
    Contract,
    Notice,
    OpenInput,
    Outlook,
    Override,
    Requirement,
    RunConstraints,
    Vote,
    VoteChoice,
)
from controller.models.errors import ConflictError, NotFoundError
from controller.models.network import HOST
from controller.models.outage import NO_OUTAGE, OffAir, Outage
from controller.models.people import Permission, Person
from controller.models.plan import Change, DiffRow, Plan
from controller.models.run import JobState, Run, Strategy
from controller.models.sharing import ActionClass, Consent
from controller.plan.extent import extent
from controller.playbook.actions.shipped import registry
from controller.playbook.language.endings import outage_of_step
from controller.playbook.language.library import parse
from controller.runs.approval.clearance import reassess
from controller.runs.approval.consent import RunOccasion, check_contracts, plan_constraints
from controller.runs.approval.outlook import outlook, outlook_of

router = Router(prefix="/v1", tags=["approvals"])
Approver = Annotated[Person, needs(Permission.APPROVE)]
Reasons = tuple[Contract, ...]
Overseer = Annotated[Person, needs(Permission.OVERSEE)]


class VoteReason(Body):
    """The reason of a vote; an approver of the host may add contractual reasons, which name agreement and clause."""

    reason: str = Field(default="", max_length=2000)
    contracts: tuple[Contract, ...] = Contracts


class Reason(Body):
    """A reason, which stays on record."""

    reason: str = Field(min_length=1, max_length=2000)


class StationPart(Body):
    """What would happen on a station, reduced to one side's own part.

    ``outage`` is that of the worst cell, where the side's service is interrupted.
    """

    station: str
    diff: list[DiffRow] = []
    outage: Outage = NO_OUTAGE


class AskedStep(Body):
    """A step of a playbook in an approval; a tenant sees only steps that need its consent, without their names.

    ``outage`` is how long it takes service away where it takes any, ``off_air`` in which of the side's own cells; null
    where that is no cell.
    """

    name: str = ""
    action: str
    consent: ActionClass | None = None
    outage: Outage = NO_OUTAGE
    off_air: OffAir | None = None


class PendingApproval(Body):
    """A run that waits for an approval, as one side sees it.

    A tenant sees what is asked of it, the votes of its own people and of the host in its place, and its own part: its
    stations, the steps that need its consent, its lines of each change. ``procedure`` is ``apply`` or the playbook's
    name. ``open_inputs``, for the host only, says which expressions ask tenants of all cells, and why.
    """

    run: str
    created: AwareDatetime
    procedure: str
    stations: list[str]
    parameters: dict[str, Any] = {}
    steps: list[AskedStep] = []
    requirements: list[Requirement]
    votes: list[Vote] = []
    parts: list[StationPart] = []
    open_inputs: list[OpenInput] = []
    requested_by: str = ""
    reason: str = ""


@router.get("/approvals")
def awaited(backend: Backend, paging: Paging, who: Approver) -> Listing[PendingApproval]:
    """Runs that wait for the approval of the caller's side (for the host: of any side), oldest first."""
    found = []
    for run, standing in backend.store.approvals.standings(who.tenant):
        # A tenant must not learn whether another side still has to agree.
        own = [one for one in standing.requirements if who.side in (HOST, one.side)]
        if not all(is_approved(one, standing.votes, standing.requester) for one in own):
            found.append(_awaited(backend, who, run, standing.constraints, standing.votes, whole=False))
    return cut(found, paging)


@router.get("/approvals/{run_id}")
def asked(run_id: str, backend: Backend, who: Approver) -> PendingApproval:
    """What a run asks of the caller's side, with that side's own part of each change."""
    standing = backend.store.approvals.standing(run_id, who.tenant)
    if standing is None or (who.tenant and not _asked_of(who.tenant, standing.constraints)):
        raise NotFoundError(f"no run {run_id} asks for approval; see minka approvals")
    return _awaited(backend, who, backend.store.runs.get(run_id), standing.constraints, standing.votes, whole=True)


@router.post("/runs/{run_id}/approve")
def approve_run(run_id: str, said: VoteReason, backend: Backend, who: Approver) -> Vote:
    """Approve a run. A person's last vote counts, for this run only."""
    return _vote_on_run(run_id, backend, who, VoteChoice.APPROVE, said.reason, said.contracts)


@router.post("/runs/{run_id}/reject")
def reject_run(run_id: str, said: Reason, backend: Backend, who: Approver) -> Vote:
    """Reject a run, also after a yes: no more devices start, and it ends ``cancelled``.

    Until its first act, that takes the yes back. A no to a run that applies a plan is one to the plan.
    """
    return _vote_on_run(run_id, backend, who, VoteChoice.REJECT, said.reason)


@router.post("/plans/{plan_id}/approve")
def approve_plan(plan_id: str, said: VoteReason, backend: Backend, who: Approver) -> Vote:
    """Approve a plan, whoever applies it: for its run that is under way, else for the next one, and for no further run.

    The approval is for the plan's digest: a changed plan needs a new one.
    """
    return _vote_on_plan(plan_id, backend, who, VoteChoice.APPROVE, said.reason, said.contracts)


@router.post("/plans/{plan_id}/reject")
def reject_plan(plan_id: str, said: Reason, backend: Backend, who: Approver) -> Vote:
    """Reject a plan, also after a yes: it can't be applied, and its runs under way end ``cancelled``.

    Runs in which the caller's part has ended go on.
    """
    return _vote_on_plan(plan_id, backend, who, VoteChoice.REJECT, said.reason)


@router.get("/plans/{plan_id}/outlook")
def plan_outlook(plan_id: str, backend: Backend, _: Overseer) -> Outlook:
    """Who has to agree to a plan, what a run of it would wait for now, and what it comes to."""
    plan = backend.store.plans.get(plan_id)
    seen = outlook(backend.store, _constraints(backend, plan), Strategy(), backend.clock.now())
    network = backend.store.networks.get(plan.network_digest)[1]
    return seen.model_copy(update={"extent": extent(plan, network)})


@router.get("/runs/{run_id}/outlook")
def run_outlook(run_id: str, backend: Backend, _: Overseer) -> Outlook:
    """Who has to agree to a run, the votes, and what the run waits for."""
    run, standing = backend.store.runs.get(run_id), backend.store.approvals.standing(run_id)
    if standing is None:
        return Outlook(subject="", waits=run.waits)
    seen = outlook_of(standing, backend.clock.now())
    return seen.model_copy(update={"waits": {}}) if run.state.terminal else seen


@router.post("/runs/{run_id}/override")
def override(
    run_id: str, said: Reason, backend: Backend, who: Annotated[Person, needs(Permission.OVERRIDE)]
) -> Override:
    """Let a run work outside of windows and during freezes; person and reason stay on record. Holds still bind.

    Tenants whose own windows or freezes that beats are told so with the reason.
    """
    if backend.store.runs.get(run_id).state.terminal:
        raise ConflictError(f"run {run_id} has ended")
    made = backend.store.approvals.override(run_id, who.name, said.reason)
    reassess(backend.store, backend.clock, backend.wakeups)
    return made


@router.get("/notices")
def notices(seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)]) -> Listing[Notice]:
    """Notices of planned work to tenants, newest first; a tenant sees its own."""
    total, found = seen.notices(paging)
    return listing(total, found, paging)


# ------------------------------------------------------------------------------ votes


def _vote_on_run(
    run_id: str, backend: Services, who: Person, choice: VoteChoice, reason: str, contracts: Reasons = ()
) -> Vote:
    standing = backend.store.approvals.standing(run_id, who.tenant)
    if standing is None:
        raise NotFoundError(f"there is no run {run_id} that could be approved; see minka approvals")
    if _is_over(backend, who, run_id, standing.constraints):
        raise ConflictError(f"run {run_id} has ended")
    return _vote(backend, who, standing.constraints, standing.constraints.subject, choice, reason, run_id, contracts)


def _vote_on_plan(
    plan_id: str, backend: Services, who: Person, choice: VoteChoice, reason: str, contracts: Reasons = ()
) -> Vote:
    # A tenant knows a plan by its own id.
    plan = backend.store.tenants.plan(who.tenant, plan_id) if who.tenant else backend.store.plans.get(plan_id)
    constraints = _constraints(backend, plan)
    if not _concerned(who, constraints):
        raise NotFoundError.of("plan", plan_id)
    subject = plan_id if who.tenant else constraints.subject
    return _vote(backend, who, constraints, subject, choice, reason, plan_id, contracts)


def _vote(
    backend: Services,
    who: Person,
    constraints: RunConstraints,
    subject: str,
    choice: VoteChoice,
    reason: str,
    about: str,
    contracts: Reasons,
) -> Vote:
    if who.tenant:
        _check_tenants_word(backend, who, constraints, choice, about)
    check_contracts(constraints, contracts, who)
    asked = backend.clock.now()
    vote = backend.store.approvals.vote(subject, who, choice, reason, about, contracts)
    if vote.at >= asked:  # else the vote was given before, and nothing changes
        reassess(backend.store, backend.clock, backend.wakeups)
    return visible_vote(who, vote)


def _is_over(backend: Services, who: Person, run_id: str, constraints: RunConstraints) -> bool:
    """Whether a run has ended; for a tenant, whether it has on the stations that concern the tenant.

    After that a tenant can neither stop the work elsewhere nor learn that there is some.
    """
    if backend.store.runs.get(run_id).state.terminal:
        return True
    own = {name for name, (_, group) in constraints.stations.items() if who.tenant in constraints.groups[group].tenants}
    jobs = [job for job in backend.store.runs.jobs(run_id) if job.station in own]
    return bool(jobs) and all(job.state is JobState.DONE for job in jobs)


def _concerned(who: Person, constraints: RunConstraints) -> bool:
    return not who.tenant or who.tenant in constraints.tenants


def _asked_of(tenant: str, constraints: RunConstraints) -> list[Requirement]:
    """The subjects that need a tenant's approval."""
    return [one for one in constraints.requirements if one.side == tenant and one.consent is Consent.APPROVAL]


def _check_tenants_word(
    backend: Services, who: Person, constraints: RunConstraints, choice: VoteChoice, about: str
) -> None:
    """Check that the vote of a tenant's person can count. Raises ConflictError."""
    asked = _asked_of(who.tenant, constraints)
    if not asked:
        raise ConflictError(f"{about} needs no approval of {who.tenant}")
    if who.tenant not in backend.store.networks.get()[1].tenant_by_id:
        raise ConflictError(f"{who.tenant} left the network files: its people can't approve any more")
    if choice is VoteChoice.APPROVE and not who.issuer and all(one.sign_in for one in asked):
        names = ", ".join(sorted({one.agreement for one in asked}))
        raise ConflictError(
            f"under {names} a yes counts only from a person who signed in at the identity provider: use minka login"
        )


def _constraints(backend: Services, plan: Plan) -> RunConstraints:
    _, network = backend.store.networks.get(plan.network_digest)
    return plan_constraints(network, plan, RunOccasion(plan.digest, backend.clock.now()))


# ------------------------------------------------------------------- as one side sees it


def _awaited(
    backend: Services, who: Person, run: Run, constraints: RunConstraints, votes: Iterable[Vote], *, whole: bool
) -> PendingApproval:
    mine = [one for one in constraints.requirements if who.side in (HOST, one.side)]
    said = [told for vote in votes if (told := _told(who, vote, mine)) is not None]
    made = PendingApproval(
        run=run.id,
        created=run.created,
        procedure=run.procedure,
        stations=constraints.concerning(who.tenant) if who.tenant else sorted(constraints.stations),
        requirements=mine,
        votes=said,
    )
    if whole:
        made.steps = _steps(backend, run, constraints, who)
        found = map(backend.store.plans.get(run.plan).changes.on, made.stations)
        made.parts = _parts(backend, (change for change in found if change is not None), who)
    if not who.tenant:
        made.open_inputs = list(constraints.open_inputs)
        made.requested_by, made.reason, made.parameters = run.requested_by, run.reason, dict(run.parameters)
    return made


def _steps(backend: Services, run: Run, constraints: RunConstraints, who: Person) -> list[AskedStep]:
    """Steps of a run's playbook, from the text at its acceptance; none if this version can't read an older text.

    A tenant gets those that ask for its consent, or take its service.
    """
    known = registry()
    text = backend.store.runs.playbook(run.playbook) if run.playbook else ""
    loaded = parse(text, run.procedure, known, Report()) if text else None
    steps = () if loaded is None else loaded.playbook.steps
    asks_me = [one for one in steps if who.tenant in constraints.steps_about.get(one.name, ())]
    found = [
        AskedStep(
            name=one.name,
            action=one.action,
            consent=known.action(one.action).consent,
            outage=outage_of_step(loaded.playbook, known, one, run.parameters),
            off_air=constraints.steps_off_air.get(one.name, {}).get(who.side),
        )
        for one in (asks_me if who.tenant else steps)
        if loaded is not None
    ]
    if who.tenant:
        return [one.model_copy(update={"name": ""}) for one in found if one.consent is not None]
    return found


def visible_vote(who: Person, vote: Vote) -> Vote:
    """A vote as a person may see it.

    A tenant gets neither its subject, which is a hash over all sides' parts, nor contractual reasons of the host, but
    those by which the host decided in its place (``Vote.in_place_of``).
    """
    return vote.model_copy(update={"subject": "", "contracts": ()}) if who.tenant else vote


def _told(who: Person, vote: Vote, mine: Iterable[Requirement]) -> Vote | None:
    """A vote as a person sees it in an approval; None if it is another side's, unless the host decided in its place."""
    if who.side in (HOST, vote.side):
        return visible_vote(who, vote)
    return vote.in_place_of(who.side, mine)


def _parts(backend: Services, changes: Iterable[Change], who: Person) -> list[StationPart]:
    """A side's own part of changes; the host sees all of them."""
    if not who.tenant:
        return [StationPart(station=one.station, diff=list(one.diff), outage=one.worst_outage) for one in changes]
    seen = tenant_scope(*backend.store.networks.get(), who.tenant)
    own = (TenantChange.of(seen, change) for change in changes if who.tenant in involved(change))
    return [StationPart(station=one.station, diff=list(one.diff), outage=one.outage) for one in own]
