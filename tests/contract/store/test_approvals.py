"""Terms, votes, clearances, freezes, overrides and notices are on record, on every database."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.models.approval import (
    Clearance,
    NoticeKind,
    Requirement,
    RunConstraints,
    StationConstraints,
    VoteChoice,
    Withdrawal,
)
from controller.models.errors import BUG, NotClearedError, NotFoundError
from controller.models.network import Network, network_digest
from controller.models.outage import FOR_GOOD, UNKNOWN_OUTAGE, UNTIL_UNLOCKED, OffAir, Outage, OutageKind
from controller.models.people import Permission, Person, Role
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind
from controller.models.run import JobState, JournalStep, Outcome, Run, RunState, Strategy
from controller.models.sharing import ActionClass, Consent
from controller.models.step import RunPlaybook, StepRecord, StepState
from controller.models.waiting import WaitCode, WaitReason
from controller.ports.clock import VirtualClock
from controller.ports.webhook import FakeContacts, FakeWebhook
from controller.runs.approval.notices import Notices
from controller.store import ClearanceInput, Clearances, JobResult, NewJob, NewToken, Page, SignIn, Store, Transition
from tests.support.callers import admit
from tests.support.launch import prepared
from tests.support.quick_stores import DirectStore
from tests.support.records import START, make_change, make_entry, make_plan
from tests.unit.plan import samples

EVA = Person(name="eva", role=Role.APPROVER)
LEO = Person(name="leo", role=Role.TENANT_APPROVER, tenant="entel")
UNTIL_STEP = Outage(kind=OutageKind.UNTIL_STEP, seconds=600)
FREE, WAITS = Clearance(), Clearance((WaitReason(code=WaitCode.APPROVAL, subject="entel", needed=1),))


def constraints(
    *stations: str,
    subject: str = "s",
    side: str = "entel",
    requirement: Requirement | None = None,
    outage: Outage | None = None,
    off_air: OffAir | None = None,
) -> RunConstraints:
    group = StationConstraints(region="cusco", timezone="America/Lima", tenants=("entel",))
    return RunConstraints(
        subject=subject,
        side=side,
        requirements=(requirement,) if requirement else (),
        tenants=("entel",),
        groups=(group,),
        stations={station: (f"site-{station}", 0) for station in stations},
        outages={} if outage is None else {"entel": outage},
        off_air={} if off_air is None else {"entel": off_air},
    )


def start(store: Store, *stations: str, begin: bool = True, asker: Person | None = None, **more: object) -> Run:
    """A run under constraints; its wave is open if ``begin``."""
    plan = make_plan(stations, repr(more))
    store.plans.save(plan, "ana")
    run = store.runs.create(
        prepared(
            plan,
            "apply",
            Strategy(),
            [NewJob(0, station) for station in stations],
            actor="ana",
            reason="CHG-1",
            constraints=constraints(*stations, **more),  # type: ignore[arg-type]
            asker=asker,
        )
    )
    if begin:
        store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    return run


@pytest.fixture(autouse=True)
def people(store: Store) -> None:
    """Those whose word counts have tokens; ana is an administrator."""
    for person in (EVA, LEO, Person(name="ana", role=Role.ADMINISTRATOR)):
        admit(store, f"token-of-{person.name}", person.name, person.role, person.tenant)


def make_network(tenant: str, **agreement: object) -> Network:
    """A network of one tenant and its agreement."""
    scope = {"everywhere": True}
    return Network.model_validate(
        {
            "header": {"id": "peru", "name": "Peru", "country": "PE", "timezone": "America/Lima"},
            "tenants": [{"id": tenant, "name": tenant, "plmns": ["716-01"], "core": {"vlan": 101}}],
            "agreements": [
                {"id": f"{tenant}-all", "tenant": tenant, "scope": scope, "validity": {"start": "2024-01-01"}}
                | agreement
            ],
        }
    )


def say(store: Store, said: Clearance, seen: dict[str, Clearances] | None = None) -> dict[str, Clearances]:
    return store.approvals.reassess(lambda standing: dict.fromkeys(standing.constraints.stations, said), seen or {})


def test_a_standing_is_all_that_a_clearance_follows_from(store: Store, clock: VirtualClock) -> None:
    run = start(store, "A", asker=EVA, begin=False)
    until = clock.now() + timedelta(days=1)
    hold = store.holds.add("A", "ana", "mast", None)
    freeze = store.freezes.add("network", clock.now(), until, "eva", "elections")
    override = store.approvals.override(run.id, "eva", "INC-7")
    found = store.approvals.standing(run.id)
    assert found is not None
    bound = found.constraints
    assert (found.requester, found.seconds, bound) == ("ana", 120, constraints("A", subject=bound.subject))
    assert [(vote.person, vote.side, vote.choice, vote.reason) for vote in found.votes] == [
        ("eva", "host", VoteChoice.APPROVE, "CHG-1")
    ]
    assert found.notified == {"entel": clock.now()}
    assert (found.holds, found.freezes, found.override) == ((hold,), (freeze,), override)
    assert found == _seen(store)
    with pytest.raises(NotFoundError):
        store.approvals.override("r-none", "eva", "x")
    assert store.approvals.standing("r-none") is None


def _seen(store: Store) -> ClearanceInput:
    found: list[ClearanceInput] = []

    def assess(standing: ClearanceInput) -> Clearances:
        found.append(standing)
        return {}

    store.approvals.reassess(assess, {})
    (only,) = found
    return only


def test_a_blocked_job_is_not_claimed_and_one_that_is_cleared_is(store: Store) -> None:
    run = start(store, "A", "B")
    worker = store.processes.register("w")
    store.approvals.reassess(lambda _: {"A": WAITS, "B": FREE}, {})
    assert [claim.job.station for claim in store.claims.take(worker, 10)] == ["B"]
    assert store.runs.get(run.id).waits == {WAITS.blocked: 1}
    assert {job.station: job.blocked for job in store.runs.jobs(run.id)} == {"A": WAITS.blocked, "B": ""}
    say(store, FREE)
    assert [claim.job.station for claim in store.claims.take(worker, 10)] == ["A"]
    assert store.runs.get(run.id).waits == {}


async def test_metrics_say_for_how_long_the_run_waits_that_waits_longest(store: Store, clock: VirtualClock) -> None:
    """It stands on record, so whoever asks anew after a restart forgets nothing."""

    def waits() -> tuple[dict[str, float], dict[str, float]]:
        figures = store.status.figures()
        numbers, ages = (figures[f"minka_{name}"] for name in ("runs_waiting", "oldest_waiting_run_age_seconds"))
        assert numbers.keys() == ages.keys()
        found = [{code: value for (code,), value in of.items() if value} for of in (numbers, ages)]
        return found[0], found[1]

    store.processes.register("w")
    start(store, "A", "B", begin=False)
    await clock.advance(10 * 3600)
    store.processes.register("w2")  # the first one is long silent
    second = start(store, "C", subject="second")
    assert waits() == ({}, {})
    say(store, WAITS)
    await clock.advance(5)
    assert waits() == ({"approval": 2}, {"approval": 10 * 3600 + 5})
    store.approvals.reassess(
        lambda standing: dict.fromkeys(
            standing.constraints.stations, WAITS if "C" in standing.constraints.stations else FREE
        ),
        {},
    )
    assert waits() == ({"approval": 1}, {"approval": 5})
    store.runs.pause(second.id, "ana")
    await clock.advance(5)
    assert waits() == ({"approval": 1, "pause": 1}, {"approval": 10, "pause": 5})


def test_a_window_that_closed_gives_no_more_jobs(store: Store, clock: VirtualClock) -> None:
    run = start(store, "A", "B")
    worker = store.processes.register("w")
    closes = clock.now() + timedelta(seconds=10)
    say(store, Clearance(closes=closes))
    (first,) = store.claims.take(worker, 1)
    assert first.job.closes == closes
    clock.pause(10)
    assert store.claims.take(worker, 10) == []
    with pytest.raises(NotClearedError, match="window"):
        store.journal.append(make_entry(first, 0, JournalStep.READ), first, begins=True)
    assert store.journal.find(first.transaction) == []
    assert {job.closes for job in store.runs.jobs(run.id)} == {closes}


def test_a_claimed_job_does_not_begin_under_what_came_meanwhile(store: Store) -> None:
    run = start(store, "A")
    worker = store.processes.register("w")
    for _ in range(7):  # more often than a job may end its worker
        say(store, FREE)
        (claim,) = store.claims.take(worker, 10)
        assert claim.job.attempts == 1
        store.journal.append(make_entry(claim, 0), claim)
        say(store, WAITS)
        with pytest.raises(NotClearedError, match="1 of entel"):
            store.journal.append(make_entry(claim, 1, JournalStep.READ), claim, begins=True)
        store.claims.release(claim, "waits", keep_transaction=False)
        assert store.runs.jobs(run.id)[0].state is JobState.READY
    say(store, FREE)
    (claim,) = store.claims.take(worker, 10)
    store.journal.append(make_entry(claim, 0, JournalStep.READ), claim, begins=True)
    store.journal.append(make_entry(claim, 0, JournalStep.READ), claim, begins=True)
    say(store, WAITS)
    store.journal.append(make_entry(claim, 1, JournalStep.EDITING), claim)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))


@pytest.mark.parametrize("target", ["S1", "S1/L1", "site:site-1"])
def test_no_further_work_of_a_job_begins_after_a_hold_was_put(store: Store, target: str) -> None:
    network = samples.network()
    store.networks.save(network, network_digest(network), "ana")
    start(store, "S1")
    say(store, FREE)
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    store.journal.append(make_entry(claim, 0, JournalStep.READ), claim, begins=True)
    store.holds.add("S2", "rosa", "elsewhere", None)
    hold = store.holds.add(target, "rosa", "on the mast", None)
    for _ in range(2):
        with pytest.raises(NotClearedError, match=f"S1 may not be worked on now: hold on {target} by rosa"):
            store.journal.append(make_entry(claim, 1, JournalStep.READ), claim, further=True)
    store.journal.append(make_entry(claim, 1, JournalStep.EDITING), claim)  # what was sent is brought to its end
    store.holds.end(hold.id, "rosa")
    store.journal.append(make_entry(claim, 2, JournalStep.READ), claim, further=True)
    assert len(store.journal.find(claim.transaction)) == 3


def test_a_blocked_job_that_must_recover_its_device_is_claimed(store: Store) -> None:
    start(store, "A")
    dead = store.processes.register("w")
    (claim,) = store.claims.take(dead, 10)
    store.journal.append(make_entry(claim, 0, JournalStep.COMMITTING, "p"), claim)
    assert store.processes.declare_dead(dead, 0)
    say(store, WAITS)
    (taken,) = store.claims.take(store.processes.register("x"), 10)
    assert (taken.transaction, taken.recovers) == (claim.transaction, True)


def test_what_was_said_is_not_written_again(store: Store) -> None:
    run = start(store, "A")
    seen = say(store, WAITS)
    assert seen == {run.id: {"A": WAITS}}
    store.approvals.reassess(lambda _: {"A": FREE}, {})
    assert say(store, WAITS, seen) == seen
    assert store.runs.jobs(run.id)[0].blocked == ""
    say(store, WAITS)
    assert store.runs.jobs(run.id)[0].blocked == WAITS.blocked


def test_an_error_lets_nothing_begin_and_keeps_no_other_run(store: Store) -> None:
    bad, good = start(store, "A", subject="bad"), start(store, "B", subject="good")

    def assess(standing: ClearanceInput) -> Clearances:
        if "A" in standing.constraints.stations:
            raise ZeroDivisionError
        return {"B": FREE}

    store.approvals.reassess(assess, {})
    assert store.runs.jobs(bad.id)[0].blocked == BUG
    assert store.runs.jobs(good.id)[0].blocked == ""


def test_the_last_word_of_each_person_counts(store: Store, clock: VirtualClock) -> None:
    store.approvals.vote("s", LEO, VoteChoice.REJECT, "harvest", "p")
    clock.pause(1)
    store.approvals.vote("s", EVA, VoteChoice.APPROVE, "", "p")
    clock.pause(1)
    kept = store.approvals.vote("s", LEO, VoteChoice.APPROVE, "after the harvest", "p")
    assert [(vote.person, vote.choice) for vote in store.approvals.votes("s")] == [
        ("eva", VoteChoice.APPROVE),
        ("leo", VoteChoice.APPROVE),
    ]
    assert store.approvals.votes("s")[1] == kept
    assert store.approvals.votes("other") == []
    _, rows = store.audit.page(Page())
    assert Counter(row.action for row in rows) >= Counter({"approval.approve": 2, "approval.reject": 1})


def test_who_can_say_nothing_else_any_more_is_gone(store: Store) -> None:
    def gone() -> set[str]:
        return {vote.person for vote in store.approvals.votes("s") if vote.gone}

    for person in (EVA, LEO):
        store.approvals.vote("s", person, VoteChoice.REJECT, "no", "p")
    assert gone() == set()
    store.approvals.vote("s", Person(name="ida", role=Role.APPROVER), VoteChoice.REJECT, "no", "p")
    assert gone() == {"ida"}, "nobody on record has that name"
    store.approvals.vote("s", Person(name="ida", role=Role.APPROVER), VoteChoice.APPROVE, "", "p")
    store.tokens.ensure(NewToken("of ida", "ida"), Person(name="ida", role=Role.APPROVER))
    assert gone() == set()
    store.users.change(EVA, "ana", disabled=True)
    store.users.change(Person(name="leo", role=Role.TENANT_VIEWER, tenant="entel"), "ana")
    assert gone() == {"eva", "leo"}
    store.users.change(EVA, "ana")
    store.users.change(Person(name="leo", role=Role.TENANT_APPROVER, tenant="bitel"), "ana")
    assert gone() == {"leo"}
    store.users.change(LEO, "ana")
    assert gone() == set()


def test_a_word_counts_while_its_person_has_a_token_in_force_that_approves(store: Store, clock: VirtualClock) -> None:
    ana = Person(name="ana", role=Role.ADMINISTRATOR)
    ida = Person(name="ida", role=Role.APPROVER)
    store.users.add(ida, "ana")

    def token(secret: str, **more: Any) -> Person:
        return ida.model_copy(update={"token": store.tokens.add(NewToken(secret, "ida", **more), "ana").id})

    def counts() -> bool:
        (vote,) = store.approvals.votes("s")
        return not vote.gone

    first = token("1", expires=clock.now() + timedelta(days=1))
    store.approvals.vote("s", first, VoteChoice.APPROVE, "", "p")
    assert counts()
    clock.pause(86_401)
    assert not counts(), "expired"
    token("2", scopes=(Permission.READ,))
    assert not counts(), "the new one does not open approvals"
    second = token("3", scopes=(Permission.READ, Permission.APPROVE))
    assert counts()
    store.approvals.vote("s", second, VoteChoice.APPROVE, "", "p")
    token("4")
    store.tokens.revoke(second.token, ana)
    assert not counts(), "whoever used a revoked token need not have been ida"


def test_who_signs_in_at_a_provider_needs_no_token_of_ours(store: Store, clock: VirtualClock) -> None:
    now = clock.now()
    zoes = SignIn("https://id.example", "z", now, now + timedelta(hours=1), "0" * 64)
    zoe = store.sign_ins.accept(Person(name="zoe", role=Role.APPROVER), zoes)
    assert zoe.issuer == "https://id.example"
    assert not store.approvals.vote("s", zoe, VoteChoice.APPROVE, "", "p").gone
    assert [(vote.issuer, vote.token, vote.gone) for vote in store.approvals.votes("s")] == [
        ("https://id.example", "", False)
    ]
    store.users.change(Person(name="zoe", role=Role.APPROVER), "ana", disabled=True)
    assert store.approvals.votes("s")[0].gone
    store.users.change(Person(name="zoe", role=Role.APPROVER), "ana")
    assert store.approvals.votes("s")[0].gone, "it was said before"
    store.approvals.vote("s", zoe, VoteChoice.APPROVE, "", "p")
    assert not store.approvals.votes("s")[0].gone
    store.sign_ins.withdraw_role(replace(zoes, issued=now + timedelta(minutes=1)))
    assert store.approvals.votes("s")[0].gone, "the provider gives no role any more"


def test_people_of_a_tenant_that_left_the_network_have_no_word(store: Store) -> None:
    store.approvals.vote("s", LEO, VoteChoice.APPROVE, "", "p")
    with_entel = make_network("entel")
    store.networks.save(with_entel, network_digest(with_entel), "ana")
    assert not store.approvals.votes("s")[0].gone
    without = make_network("claro")
    store.networks.save(without, network_digest(without), "ana")
    assert store.approvals.votes("s")[0].gone


def test_named_approvers_are_those_of_the_agreement_of_today(store: Store) -> None:
    asked = Requirement(side="entel", action=ActionClass.REDUCE, approvers=("leo", "sol"), agreement="entel-all")
    run = start(store, "A", requirement=asked)
    store.approvals.vote("s", LEO, VoteChoice.APPROVE, "", "p")

    def named(*names: str) -> tuple[str, ...]:
        network = make_network("entel", approvers=names)
        store.networks.save(network, network_digest(network), "ana")
        found = store.approvals.standing(run.id)
        assert found is not None
        return found.constraints.requirements[0].approvers

    assert named("leo", "sol") == ("leo", "sol")
    assert named("sol") == ("sol",)
    assert named() == ()


def test_the_same_said_again_is_one_word(store: Store, clock: VirtualClock) -> None:
    first = store.approvals.vote("s", LEO, VoteChoice.APPROVE, "fine", "p")
    clock.pause(1)
    before = store.audit.page(Page())[0]
    assert store.approvals.vote("s", LEO, VoteChoice.APPROVE, "fine", "p") == first
    assert (store.approvals.votes("s"), store.audit.page(Page())[0]) == ([first], before)
    assert store.approvals.vote("s", LEO, VoteChoice.APPROVE, "still fine", "p").at > first.at
    assert store.audit.page(Page())[0] == before + 1


def test_a_rejection_ends_the_runs_of_its_subject(store: Store) -> None:
    one, other = start(store, "A", subject="one"), start(store, "B", subject="other")
    store.approvals.vote("one", LEO, VoteChoice.REJECT, "no", one.id)
    assert store.runs.get(one.id).state is RunState.CANCELLING
    assert store.runs.get(other.id).state is RunState.RUNNING
    assert store.claims.take(store.processes.register("w"), 10)[0].run.id == other.id


def voters(store: Store, run: Run) -> list[tuple[str, VoteChoice]]:
    """Whose vote counts for a run."""
    standing = store.approvals.standing(run.id)
    assert standing is not None
    return [(vote.person, vote.choice) for vote in standing.votes]


def end(store: Store, run: Run) -> None:
    store.runs.advance(run.id, lambda *_: Transition(RunState.CANCELLED, cancel_rest=True))


YES, NO = VoteChoice.APPROVE, VoteChoice.REJECT


def test_a_yes_to_a_plan_is_spent_by_its_next_run(store: Store) -> None:
    """The same content planned and applied again, as after an undo, asks again."""
    store.approvals.vote("s", LEO, YES, "", "p")
    first = start(store, "A")
    assert voters(store, first) == [("leo", YES)]
    assert store.approvals.votes("s") == []
    end(store, first)
    for _ in range(2):
        again = start(store, "A")
        assert voters(store, again) == []
        end(store, again)
    assert voters(store, first) == [("leo", YES)], "who agreed to it stays on record"
    store.approvals.vote("s", LEO, YES, "", "p")
    assert voters(store, start(store, "A")) == [("leo", YES)]


@pytest.mark.parametrize("how", ["cancelled", "no", "begun"])
def test_a_yes_counts_for_no_further_run_however_its_run_ended(store: Store, how: str) -> None:
    """So nobody can tell by what is asked next whether somebody else said no."""
    rita = Person(name="rita", role=Role.APPROVER)
    for person in (EVA, LEO):
        store.approvals.vote("s", person, YES, "", "p")
    run = start(store, "A")
    if how == "begun":
        (claim,) = store.claims.take(store.processes.register("w"), 10)
        store.claims.finish(claim, JobResult(Outcome.CANCELLED))
    if how == "no":
        standing = store.approvals.standing(run.id)
        assert standing is not None
        store.approvals.vote(standing.constraints.subject, rita, NO, "not now", run.id)
    end(store, run)
    assert [vote for vote in store.approvals.votes("s") if vote.choice is YES] == []
    assert voters(store, start(store, "A")) == []
    assert voters(store, run)[:2] == [("eva", YES), ("leo", YES)], "who agreed to it stays on record"


def test_the_yes_of_who_asked_for_a_run_is_for_no_other_run(store: Store) -> None:
    run = start(store, "A", asker=Person(name="ana", role=Role.ADMINISTRATOR))
    assert voters(store, run) == [("ana", YES)]
    store.approvals.vote("s", EVA, NO, "not now", "p")
    end(store, run)
    assert [vote.person for vote in store.approvals.votes("s")] == ["eva"]


def test_what_somebody_said_before_they_were_disabled_counts_no_more_when_they_are_back(
    store: Store, clock: VirtualClock
) -> None:
    """Whoever disabled them need not have known of it; the same said again counts."""
    admit(store, "token-of-leo", LEO.name, LEO.role, LEO.tenant)
    admit(store, "token-of-eva", EVA.name, EVA.role)
    run = start(store, "A")

    def counts() -> tuple[list[bool], bool]:
        standing = store.approvals.standing(run.id)
        assert standing is not None
        return [not vote.gone for vote in standing.votes], standing.override is not None

    def say() -> None:
        store.approvals.vote("s", LEO, YES, "fine", "p")
        store.approvals.override(run.id, EVA.name, "INC-7")

    say()
    assert counts() == ([True], True)
    for left in (LEO, LEO.model_copy(update={"role": Role.TENANT_VIEWER})):
        store.users.change(left, "ana", disabled=left is LEO)
        store.users.change(EVA, "ana", disabled=True)
        assert counts() == ([False], False)
        clock.pause(60)
        for person in (LEO, EVA):
            store.users.change(person, "ana")
        assert counts() == ([False], False), "what they said before does not count again"
        say()
        assert counts() == ([True], True)
    store.users.change(LEO, "ana")
    assert counts() == ([True], True), "nothing was changed"


def test_a_yes_while_a_run_of_the_plan_is_under_way_is_for_that_run(store: Store) -> None:
    first = start(store, "A")
    store.approvals.vote("s", LEO, YES, "", "p")
    assert voters(store, first) == [("leo", YES)]
    assert store.approvals.votes("s") == []
    assert voters(store, start(store, "A")) == []


def test_a_yes_to_a_run_is_for_no_other_run(store: Store) -> None:
    first = start(store, "A")
    standing = store.approvals.standing(first.id)
    assert standing is not None
    store.approvals.vote(standing.constraints.subject, LEO, YES, "", first.id)
    end(store, first)
    assert voters(store, start(store, "A")) == []


def test_a_yes_is_taken_back_by_a_no_before_its_run_and_in_it(store: Store) -> None:
    store.approvals.vote("s", LEO, YES, "", "p")
    store.approvals.vote("s", LEO, NO, "not in the harvest", "p")
    assert [vote.choice for vote in store.approvals.votes("s")] == [NO]
    store.approvals.vote("s", LEO, YES, "", "p")
    run = start(store, "A")
    store.approvals.vote("s", LEO, NO, "not in the harvest", "p")
    assert store.runs.get(run.id).state is RunState.CANCELLING
    assert voters(store, run) == [("leo", NO)]
    assert [vote.choice for vote in store.approvals.votes("s")] == [NO], "no further run begins"
    _, rows = store.audit.page(Page())
    assert Counter(row.action for row in rows if row.actor == "leo")["approval.reject"] == 2, (
        "each is on the trail once"
    )


def test_a_no_to_a_run_is_one_to_its_plan(store: Store) -> None:
    runs = [start(store, "A"), start(store, "A")]
    standing = store.approvals.standing(runs[0].id)
    assert standing is not None
    store.approvals.vote(standing.constraints.subject, EVA, NO, "no", runs[0].id)
    assert {store.runs.get(run.id).state for run in runs} == {RunState.CANCELLING}
    assert [(vote.person, vote.choice) for vote in store.approvals.votes("s")] == [("eva", NO)]


def test_a_tenant_whose_part_has_ended_stops_no_run_and_still_says_no_to_the_next(store: Store) -> None:
    run = start(store, "A")
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    store.approvals.vote("s", LEO, NO, "not again", "p")
    assert store.runs.get(run.id).state is RunState.RUNNING
    assert [vote.choice for vote in store.approvals.votes("s")] == [NO]


def test_runs_of_playbooks_are_approved_one_by_one(store: Store) -> None:
    plan = make_plan(["A"])
    store.plans.save(plan, "ana")
    playbook = RunPlaybook(name="p", digest="d", text="t")
    runs = [
        store.runs.create(
            prepared(
                plan,
                "p",
                Strategy(),
                [NewJob(0, "A")],
                actor="ana",
                playbook=playbook,
                constraints=constraints("A"),
                asker=EVA,
            )
        )
        for _ in range(2)
    ]
    standings = [store.approvals.standing(run.id) for run in runs]
    subjects = {standing.constraints.subject for standing in standings if standing}
    assert len(subjects | {"s"}) == 3
    assert all(standing and len(standing.votes) == 1 for standing in standings)


def test_freezes_come_and_go(store: Store, clock: VirtualClock) -> None:
    now = clock.now()
    later = store.freezes.add("tenant:entel", now + timedelta(hours=5), now + timedelta(hours=6), "eva", "y")
    first = store.freezes.add("network", now, now + timedelta(hours=1), "eva", "x")
    assert store.freezes.find(now) == [first, later]
    assert store.freezes.find(now + timedelta(hours=1)) == [later]
    store.freezes.end(first.id, "eva")
    assert store.freezes.find(now) == [later]
    with pytest.raises(NotFoundError):
        store.freezes.end(first.id, "eva")


def test_the_first_override_stays_while_its_person_may_override(store: Store) -> None:
    run = start(store, "A")
    first = store.approvals.override(run.id, "eva", "INC-7")
    assert store.approvals.override(run.id, "ana", "INC-8") == first
    store.users.change(EVA, "ana", disabled=True)
    found = store.approvals.standing(run.id)
    assert found is not None
    assert found.override is None, "who may not override now overrides nothing"
    assert store.approvals.override(run.id, "ana", "INC-8").by == "ana"


def test_tenants_are_notified_of_plan_beginning_and_end(store: Store, clock: VirtualClock) -> None:
    asked = Requirement(side="entel", action=ActionClass.INTERRUPT, consent=Consent.NOTICE, lead_hours=24)
    run = start(store, "A", "B", requirement=asked)
    total, (planned,) = store.notices.page(Page(), "entel")
    assert (total, planned.kind, planned.stations, planned.run) == (1, NoticeKind.PLANNED, ("A", "B"), run.id)
    assert planned.begins == clock.now() + timedelta(hours=24)
    assert planned.text == "work is planned on 2 devices that serve you"
    store.notices.write()
    assert store.notices.page(Page())[0] == 1
    worker = store.processes.register("w")
    for claim in store.claims.take(worker, 10):
        store.notices.write()
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED if claim.job.station == "A" else Outcome.DEFERRED))
        kinds = [notice.kind for notice in store.notices.page(Page())[1]]
        assert kinds == [NoticeKind.STARTED, NoticeKind.PLANNED]
    # For the tenant it is over with its own stations, whatever else the run has to do.
    for _ in range(2):
        store.notices.write()
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.PARTIAL))
    store.notices.write()
    assert store.notices.page(Page())[0] == 3
    assert store.notices.page(Page(), "movistar") == (0, [])
    _, (ended, *_) = store.notices.page(Page(), "entel")
    assert (ended.kind, ended.text) == (NoticeKind.ENDED, "work has ended: 1 deferred, 1 succeeded")


@pytest.mark.parametrize(
    ("outage", "outcome", "planned", "ended"),
    [
        (
            UNTIL_UNLOCKED,
            Outcome.SUCCEEDED,
            ", outage until unlocked",
            "; what it took off the air stays so until unlocked",
        ),
        (FOR_GOOD, Outcome.SUCCEEDED, ", outage for good", "; what it took off the air stays so for good"),
        (UNTIL_UNLOCKED, Outcome.ROLLED_BACK, ", outage until unlocked", ""),
        (
            UNTIL_STEP,
            Outcome.SUCCEEDED,
            ", outage until a later step of the same run unlocks, after waits of at most 600 s",
            "",
        ),
        (UNKNOWN_OUTAGE, Outcome.SUCCEEDED, ", outage for a time that is not known", ""),
        (
            Outage.timed(8),
            Outcome.DIVERGED,
            ", outage about 8 s",
            "; service on A may be away for a time that is not known: people are called to bring it back",
        ),
        (Outage.timed(8), Outcome.SUCCEEDED, ", outage about 8 s", ""),
        (None, Outcome.SUCCEEDED, "", ""),
    ],
)
def test_a_tenant_is_notified_how_its_outage_ends(
    store: Store, outage: Outage | None, outcome: Outcome, planned: str, ended: str
) -> None:
    start(store, "A", outage=outage)
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 10)
    store.notices.write()
    store.claims.finish(claim, JobResult(outcome))
    store.notices.write()
    _, told = store.notices.page(Page(), "entel")
    assert [one.text for one in reversed(told)] == [
        f"work is planned on 1 device that serves you{planned}",
        f"work has begun on 1 device that serves you{planned}",
        f"work has ended: 1 {outcome}{ended}",
    ]


def test_a_tenant_is_told_of_no_work_where_none_has_begun(store: Store) -> None:
    """Of several devices the first one begins; of the others nobody knows yet."""
    start(store, "A", "B")
    store.claims.take(store.processes.register("w"), 1)
    store.notices.write()
    (begun,) = [one for one in store.notices.page(Page(), "entel")[1] if one.kind is NoticeKind.STARTED]
    assert begun.text.startswith("work has begun on the first of 2 devices that serve you")


@pytest.mark.parametrize(
    ("off", "words", "cells"),
    [
        (OffAir(cells=("A/1",), count=1, of=6), "1 of 6 cells: A/1", ("A/1",)),
        (OffAir(count=6, of=6), "all 6 cells", ()),
        (OffAir(count=1, of=1), "the only cell there", ()),
    ],
)
def test_a_notice_tells_one_cell_from_all(store: Store, off: OffAir, words: str, cells: tuple[str, ...]) -> None:
    start(store, "A", outage=UNTIL_UNLOCKED, off_air=off)
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 10)
    store.notices.write()
    store.claims.finish(claim, JobResult(Outcome.ROLLED_BACK))
    store.notices.write()
    _, (ended, begun, planned) = store.notices.page(Page(), "entel")
    for said in (planned, begun):
        assert said.text.endswith(f", outage until unlocked, off the air: {words}")
        assert said.outage is not None
        assert (said.outage.off_air, said.cells) == (off, cells)
    assert (ended.outage is None or ended.outage.off_air is None, ended.cells) == (True, ())


@pytest.mark.parametrize(
    ("outage", "outcome", "ends", "over"),
    [
        (UNTIL_UNLOCKED, Outcome.SUCCEEDED, None, None),
        (UNTIL_UNLOCKED, Outcome.ROLLED_BACK, None, "none"),
        (UNKNOWN_OUTAGE, Outcome.SUCCEEDED, None, "now"),
        (UNTIL_STEP, Outcome.SUCCEEDED, None, "now"),
        (UNTIL_STEP, Outcome.ROLLED_BACK, None, "now"),
        (Outage.timed(8), Outcome.SUCCEEDED, 8, "now"),
        (Outage.timed(8), Outcome.DIVERGED, 8, None),
        (UNTIL_UNLOCKED, Outcome.DIVERGED, None, None),
        (Outage.timed(8), Outcome.ROLLED_BACK, 8, "now"),
        (None, Outcome.SUCCEEDED, None, "none"),
    ],
)
async def test_a_notice_has_the_outage_in_fields(
    store: Store, clock: VirtualClock, outage: Outage | None, outcome: Outcome, ends: int | None, over: str | None
) -> None:
    accepted = clock.now()
    start(store, "A", outage=outage)
    await clock.advance(60)
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    await clock.advance(30)
    store.notices.write()
    store.claims.finish(claim, JobResult(outcome))
    store.notices.write()
    _, (ended, started, planned) = store.notices.page(Page(), "entel")
    begun = accepted + timedelta(seconds=60)
    assert planned.begins is not None
    for one, begins in ((planned, planned.begins), (started, begun)):
        due = None if ends is None else begins + timedelta(seconds=ends)
        told = outage and {"kind": outage.kind, "seconds": outage.seconds, "off_air": None}
        fields = told and told | {"begins": begins, "ends": due}
        assert (one.outage and dict(one.outage)) == fields
    if over == "none":
        assert ended.outage is None, "nothing is off the air, by this run"
    else:
        assert ended.outage is not None
        assert (ended.outage.begins, ended.outage.ends) == (begun, None if over is None else clock.now())


def test_notices_name_what_a_tenant_loses_for_good_and_at_the_end_what_it_lost(store: Store) -> None:
    lost = Withdrawal(cells=("A/1", "B/1"), people=900)
    plan = make_plan(["A", "B"], "gone")
    store.plans.save(plan, "ana")
    bound = constraints("A", "B", outage=FOR_GOOD).model_copy(update={"withdrawn": {"entel": lost}})
    work = [NewJob(0, station) for station in ("A", "B")]
    run = store.runs.create(prepared(plan, "apply", Strategy(), work, actor="ana", constraints=bound))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    ends = {"A": Outcome.SUCCEEDED, "B": Outcome.ROLLED_BACK}
    for claim in store.claims.take(store.processes.register("w"), 10):
        store.notices.write()
        store.claims.finish(claim, JobResult(ends[claim.job.station]))
    store.notices.write()
    _, (ended, started, planned) = store.notices.page(Page(), "entel")
    for one, verb in ((planned, "is planned on"), (started, "has begun on the first of")):
        words = f"work {verb} 2 devices that serve you, outage for good: you lose service in 2 cells"
        assert (one.text, one.cells) == (f"{words} with about 900 people", lost.cells)
        assert one.outage is not None
        assert one.outage.ends is None
    assert ended.cells == ("A/1",), "B was taken back"
    assert ended.text.endswith("what it took off the air stays so for good")


@pytest.mark.parametrize("acts", [False, True])
def test_work_of_a_playbook_begins_when_a_step_acts(store: Store, *, acts: bool) -> None:
    """A list of cells that turns out to be empty touches none: nobody is told that work began."""
    used = RunPlaybook(name="own", digest="d", text="x", parameters={})
    plan = make_plan(["A"], "own")
    store.plans.save(plan, "ana")
    bound = constraints("A", outage=UNTIL_UNLOCKED)
    run = store.runs.create(
        prepared(plan, "own", Strategy(), [NewJob(0, "A")], actor="ana", constraints=bound, playbook=used)
    )
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    look = StepRecord(
        job=claim.job.id, position=0, name="look", action="read-state", state=StepState.DONE, started=START
    )
    store.steps.write(look, claim)

    def told() -> list[NoticeKind]:
        store.notices.write()
        return [one.kind for one in reversed(store.notices.page(Page(), "entel")[1])]

    planned = [NoticeKind.PLANNED]
    assert told() == planned
    if acts:
        store.steps.write(look.model_copy(update={"position": 1, "change": claim.change}), claim)
        planned.append(NoticeKind.STARTED)
    assert told() == planned
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED if acts else Outcome.UNCHANGED))
    assert told() == [*planned, NoticeKind.ENDED]
    ended = store.notices.page(Page(), "entel")[1][0]
    assert (ended.outage is not None) is acts


def _switch(final: str) -> Change:
    """A change that switches one cell of entel on A."""
    path = "/ManagedElement[A]/ENBFunction[1]/EUtranCellFDD[1]"
    before, after = {"administrativeState": "UNLOCKED"}, {"administrativeState": final}
    edit = Edit(op=Op.MERGE, path=path, before=before, after=after, owners=("entel",))
    phase = Phase(kind=PhaseKind.LOCK, edits=(edit,), inverse=())
    return make_change("A").model_copy(update={"phases": (phase,), "touched": (), "interrupted": ("entel",)})


@pytest.mark.parametrize("planned", [UNTIL_UNLOCKED, UNTIL_STEP])
@pytest.mark.parametrize(
    ("switched", "undone", "stays"),
    [
        (["LOCKED"], [], True),
        (["SHUTTINGDOWN"], [], True),
        (["LOCKED", "UNLOCKED"], [], False),
        (["LOCKED", "UNLOCKED", "LOCKED"], [], True),
        (["LOCKED", "UNLOCKED"], [1], True),
        (["LOCKED"], [0], False),
    ],
)
def test_the_last_notice_goes_by_what_the_steps_left(
    store: Store, clock: VirtualClock, planned: Outage, switched: list[str], undone: list[int], *, stays: bool
) -> None:
    used = RunPlaybook(name="own", digest="d", text="x", parameters={})
    plan = make_plan(["A"], "own")
    store.plans.save(plan, "ana")
    bound = constraints("A", outage=planned)
    run = store.runs.create(
        prepared(plan, "own", Strategy(), [NewJob(0, "A")], actor="ana", constraints=bound, playbook=used)
    )
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    done = {"job": claim.job.id, "state": StepState.DONE, "outcome": Outcome.SUCCEEDED, "started": START}
    for position, final in enumerate(switched):
        step = StepRecord(position=position, name=f"{position}", action="own", change=_switch(final), **done)
        store.steps.write(step, claim)
        if position in undone:
            store.steps.write(step.model_copy(update={"undo": True, "change": _switch("UNLOCKED")}), claim)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    store.notices.write()
    ended = store.notices.page(Page(), "entel")[1][0]
    said = "; what it took off the air stays so until unlocked" if stays else ""
    assert ended.text == f"work has ended: 1 succeeded{said}"
    assert ended.outage is not None
    assert ended.outage.ends == (None if stays else clock.now())


async def test_who_got_nothing_done_is_told_of_no_outage(store: Store) -> None:
    run = start(store, "A", outage=Outage.timed(8))
    store.runs.cancel(run.id, "ana")
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.CANCELLED, cancel_rest=True))
    store.notices.write()
    _, (ended, *_) = store.notices.page(Page(), "entel")
    assert (ended.kind, ended.outage) == (NoticeKind.ENDED, None)


def test_a_tenant_is_notified_of_work_on_its_own_stations_only(store: Store) -> None:
    plan = make_plan(["A", "B"])
    store.plans.save(plan, "ana")
    groups = [
        StationConstraints(region="cusco", timezone="America/Lima", tenants=(name,)) for name in ("claro", "entel")
    ]
    both = RunConstraints(
        subject="s", tenants=("claro", "entel"), groups=tuple(groups), stations={"A": ("a", 0), "B": ("b", 1)}
    )
    jobs = [NewJob(0, "A"), NewJob(1, "B")]
    run = store.runs.create(prepared(plan, "apply", Strategy(), jobs, actor="ana", constraints=both))
    worker = store.processes.register("w")

    def kinds(tenant: str) -> list[NoticeKind]:
        store.notices.write()
        return [notice.kind for notice in reversed(store.notices.page(Page(), tenant)[1])]

    planned, started, ended = NoticeKind.PLANNED, NoticeKind.STARTED, NoticeKind.ENDED
    for wave, tenant, other in ((0, "claro", [planned]), (1, "entel", [planned, started, ended])):
        store.runs.advance(run.id, lambda _run, _jobs, wave=wave: Transition(RunState.RUNNING, wave=wave))  # type: ignore[misc]
        before = store.runs.get(run.id)
        (claim,) = store.claims.take(worker, 10)
        assert kinds(tenant) == [planned, started]
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
        assert kinds(tenant) == [planned, started, ended]
        assert kinds({"claro": "entel", "entel": "claro"}[tenant]) == other
        assert not before.state.terminal
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.SUCCEEDED))
    assert kinds("claro") == kinds("entel") == [planned, started, ended]


def test_tenants_are_notified_that_work_began_though_it_ended_before_anybody_looked(store: Store) -> None:
    run = start(store, "A", "B")
    for claim in store.claims.take(store.processes.register("w"), 10):
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.SUCCEEDED))
    store.notices.write()
    kinds = [notice.kind for notice in store.notices.page(Page())[1]]
    assert kinds == [NoticeKind.ENDED, NoticeKind.STARTED, NoticeKind.PLANNED]


def test_of_a_run_that_never_began_only_the_end_is_reported(store: Store) -> None:
    run = start(store, "A", "B", begin=False)
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.CANCELLED, cancel_rest=True))
    store.notices.write()
    assert [notice.kind for notice in store.notices.page(Page())[1]] == [NoticeKind.ENDED, NoticeKind.PLANNED]


def test_a_notice_is_claimed_and_sent_once(store: Store, clock: VirtualClock) -> None:
    start(store, "A", "B")
    store.notices.address(webhook=True)
    (one,) = store.notices.pending()
    claimed = store.notices.claim(one)
    assert claimed is not None
    assert store.notices.claim(one) is None
    store.notices.release(claimed)
    (again,) = store.notices.pending()
    assert (again.attempts, again.claimed) == (1, False)
    claimed = store.notices.claim(again)
    assert claimed is not None
    store.notices.delivered(claimed)
    store.notices.delivered(claimed)
    assert store.notices.pending() == []
    assert store.notices.page(Page())[1][0].sent == clock.now()
    _, rows = store.audit.page(Page())
    assert sum(row.action == "notice.sent" for row in rows) == 1
    assert store.audit.verify() is None


def test_who_gets_notice_of_a_run_may_look_at_it_before_anything_is_changed(store: Store) -> None:
    plan = make_plan([])
    store.plans.save(plan, "ana")
    jobs = [NewJob(0, "A"), NewJob(0, "B")]
    bound = constraints("A").model_copy(update={"stations": {**constraints("A").stations, "B": ("site-B", 1)}})
    bound = bound.model_copy(
        update={"groups": (*bound.groups, StationConstraints(region="cusco", timezone="America/Lima"))}
    )
    how = RunPlaybook(name="own", digest="d", text="t")
    run = store.runs.create(prepared(plan, "own", Strategy(), jobs, actor="ana", constraints=bound, playbook=how))
    (notice,) = store.notices.page(Page(10), "entel")[1]
    assert (notice.run, notice.stations) == (run.id, ("A",))
    mine, parts = store.tenants.run("entel", run.id)
    assert (mine.id, [job.station for job in parts]) == (run.id, ["A"])
    with pytest.raises(NotFoundError):
        store.tenants.run("claro", run.id)


async def test_a_webhook_that_is_set_later_is_not_notified_of_what_was_before(
    store: Store, clock: VirtualClock
) -> None:
    run = start(store, "A", "B")
    await Notices(DirectStore(store), None, FakeContacts(), clock).step()
    webhook = FakeWebhook()
    notices = Notices(DirectStore(store), webhook, FakeContacts(), clock)
    await notices.step()
    await notices.settle()
    assert webhook.sent == {}
    assert store.notices.page(Page())[1][0].sent is None
    for claim in store.claims.take(store.processes.register("w"), 10):
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.SUCCEEDED))
    await notices.step()
    await notices.settle()
    assert {one["notice"]["kind"] for one in webhook.sent.values()} == {"started", "ended"}
