"""Rules and their modes, what they propose, and the switch that stops all automatic repair."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, timedelta
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Annotated

from fastapi import Query
from pydantic import Field

from controller.api.auth import Router, needs
from controller.api.launch import library
from controller.api.services import Backend, Body, Listing, Paging, Services, cut, listing
from controller.bootstrap import open_memory
from controller.inventory.source import Entry, unknown
from controller.models.alarm import REMEDIATION_STOPPED, AlarmState
from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.network import Network
from controller.models.people import Permission, Person
from controller.models.rule import (
    EVERYWHERE,
    REGION,
    TENANT,
    Figures,
    Proposal,
    ProposalState,
    RuleGrant,
    RuleMode,
    likeness,
)
from controller.models.scalars import Identifier, Moment
from controller.ports.clock import VirtualClock
from controller.remediation.backtest import Backtest, Backtested, RuleSummary, summed_up
from controller.remediation.breaker import Breaker, resume
from controller.remediation.definitions import left_out
from controller.remediation.guards import Limits
from controller.remediation.rules import Rule, entries_in_force, read_rules, rules_in_force, strange_names
from controller.remediation.trust import mode_for, promote
from controller.store import Store

router = Router(prefix="/v1", tags=["remediation"])

#: Most reports of a backtest, and the form of names of rule files.
MOST_REPORTS = 20_000
_RULE_FILE = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\.yaml")
#: One at a time, since a backtest keeps a processor busy for a while.
_ONE_BACKTEST = Lock()


class RepairSwitch(Body):
    """Whether to stop automatic repair, and why."""

    stopped: bool
    reason: str = Field(default="", max_length=2000)


class Remediation(RepairSwitch):
    """Whether automatic repair is stopped: since when, by whom (``breaker`` if it stopped by itself) and why.

    More than ``limit`` repairs within ``minutes`` stop it. ``rules`` is the number of rules that are in force;
    ``left_out`` has the files that are in force but can't be used, each with its first problem.
    """

    since: Moment | None = None
    by: str = ""
    limit: int
    minutes: float
    rules: int
    left_out: dict[str, str]


class RuleView(Body):
    """A rule with its record.

    ``mode`` is the mode in which it acts for all alarms, ``scopes`` has the modes for single regions and tenants.
    ``changed`` says that the rule or one of its playbooks changed since its promotion, so that it observes. ``content``
    is the rule that is in force, ``digest`` that of the rule with its playbooks. ``warnings`` names what the rule
    mentions or is promoted for, but the current network does not have.
    """

    name: str
    description: str
    mode: RuleMode
    scopes: dict[str, RuleMode] = {}
    changed: bool = False
    record: Figures
    grants: tuple[RuleGrant, ...] = ()
    content: Rule
    digest: str
    warnings: tuple[str, ...] = ()


class Promotion(Body):
    """A mode for a rule: everywhere, in one region, or for alarms that concern one tenant only.

    ``digest``, if given, is that of the rule that was seen; if it was changed since, nothing is set.
    """

    mode: RuleMode
    digest: str = Field(default="", max_length=64)
    reason: str = Field(min_length=1, max_length=2000)
    region: Identifier | None = None
    tenant: Identifier | None = None


class ProposalAnswer(Body):
    """Why a proposal is approved or denied."""

    reason: str = Field(default="", max_length=2000)


class BacktestRequest(Body):
    """Rule files by name, and the time whose reports are played: by default the last day."""

    files: dict[str, str] = Field(min_length=1, max_length=500)
    since: Moment | None = None
    until: Moment | None = None


class BacktestedRules(Body):
    """What rules would have done from ``since`` to ``until``, which is earlier than requested if reports are many.

    ``warnings`` names what the rules mention but the current network does not have.
    """

    since: Moment
    until: Moment
    reports: int
    rules: tuple[RuleSummary, ...]
    alarms: tuple[Backtested, ...]
    warnings: tuple[str, ...] = ()


@router.get("/rules")
def rules(backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Listing[RuleView]:
    """Rules with their modes and records, by name."""
    return cut(_views(backend, entries_in_force(backend.store)), paging)


@router.post("/rules/backtest")
def backtest(
    asked: BacktestRequest, backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]
) -> BacktestedRules:
    """What the given rules would have done about recorded reports, compared with what was done. Touches no device."""
    if not _ONE_BACKTEST.acquire(blocking=False):
        raise ConflictError("another backtest is under way: wait for its end")
    try:
        return _backtest(asked, backend)
    finally:
        _ONE_BACKTEST.release()


def _backtest(asked: BacktestRequest, backend: Services) -> BacktestedRules:
    now, store, settings = backend.clock.now(), backend.store, backend.settings
    until = min(asked.until or now, now).astimezone(UTC)
    since = asked.since.astimezone(UTC) if asked.since else until - timedelta(days=1)
    if since >= until:
        raise InputError(f"nothing lies between {since.isoformat()} and {until.isoformat()}: give a since before until")
    found = _tried(asked.files)
    tried = tuple(rule for rule, _ in found)
    reports = store.reports.after(-1, MOST_REPORTS + 1, since, until)
    played = reports[:MOST_REPORTS]
    if len(reports) > len(played):
        until = played[-1].received
    with closing(open_memory(clock := VirtualClock(since))) as shadow:
        breaker = Breaker(settings.repair_limit, settings.repair_limit_minutes)
        test = Backtest(shadow, clock, store.networks.get(), tried, Limits.of(settings), breaker)
        really = store.repairs.since(since)
        repaired = {
            one.id for one in store.alarms.find({one.alarm for one in really}) if one.state is AlarmState.REPAIRED
        }
        alarms = test.play(played, really, until, repaired)
    return BacktestedRules(
        since=since,
        until=until,
        reports=len(played),
        rules=tuple(summed_up(tried, alarms, test.runs, test.served)),
        alarms=tuple(alarms),
        warnings=tuple(chain.from_iterable(_strange(backend, found).values())),
    )


def _tried(files: Mapping[str, str]) -> tuple[tuple[Rule, Entry], ...]:
    """Rules of uploaded files. Raises InputError if a file name or a rule is wrong."""
    with TemporaryDirectory(prefix="minka-rules-") as folder:
        for name, text in files.items():
            if not _RULE_FILE.fullmatch(name):
                raise InputError(f"{name[:60]!r} is not a name of a rule file, such as core-link-down.yaml")
            (Path(folder) / name).write_text(text, encoding="utf-8")
        return read_rules(Path(folder))


@router.get("/rules/{name}")
def rule(name: str, backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> RuleView:
    """One rule."""
    return _views(backend, [_rule(backend.store, name)])[0]


@router.put("/rules/{name}/mode")
def set_mode(
    name: str, asked: Promotion, backend: Backend, who: Annotated[Person, needs(Permission.PROMOTE)]
) -> RuleView:
    """Promote or demote a rule. The audit trail keeps the record that the rule had at that time."""
    scope = _scope(backend, name, asked)

    def promoted(store: Store) -> None:
        found, _ = _rule(store, name)
        if asked.digest not in ("", found.digest):
            raise ConflictError(f"rule {name} was changed since you saw it: see it again (minka rules show {name})")
        promote(store, found, scope, asked.mode, backend.clock.now(), by=who.name, reason=asked.reason)

    _rule(backend.store, name)
    backend.store.transaction(promoted)
    return _views(backend, [_rule(backend.store, name)])[0]


def _rule(store: Store, name: str) -> tuple[Rule, Entry]:
    known = {rule.name: (rule, entry) for rule, entry in entries_in_force(store)}
    if name not in known:
        raise NotFoundError(unknown("rule", name, known))
    return known[name]


def _scope(backend: Services, name: str, asked: Promotion) -> str:
    if asked.region and asked.tenant:
        raise InputError("name a region or a tenant, not both: set two modes")
    if not asked.region and not asked.tenant:
        return EVERYWHERE
    scope = f"{REGION}{asked.region}" if asked.region else f"{TENANT}{asked.tenant}"
    given = any((grant.rule, grant.scope) == (name, scope) for grant in backend.store.rules.grants())
    if given and asked.mode is RuleMode.OBSERVE:
        return scope  # also a scope that left the network files
    _, network = backend.store.networks.get()
    if asked.region and asked.region not in network.region_by_id:
        raise InputError(unknown("region", asked.region, network.region_by_id))
    if asked.tenant and asked.tenant not in network.tenant_by_id:
        raise InputError(unknown("tenant", asked.tenant, network.tenant_by_id))
    return scope


def _strange(backend: Services, found: Sequence[tuple[Rule, Entry]]) -> dict[str, list[str]]:
    """Warnings about names in rules that the network does not have, by rule."""
    causes = backend.settings.alert_causes.split()
    return strange_names(found, library(backend), _network(backend), causes)


def _network(backend: Services) -> Network | None:
    """The current network; None before one is loaded."""
    try:
        return backend.store.networks.get()[1]
    except NotFoundError:
        return None


def _views(backend: Services, found: Sequence[tuple[Rule, Entry]]) -> list[RuleView]:
    grants, strange, network = backend.store.rules.grants(), _strange(backend, found), _network(backend)
    return [_view(backend, rule, grants, strange.get(rule.name, ()), network) for rule, _ in found]


def _view(
    backend: Services, rule: Rule, grants: list[RuleGrant], strange: Iterable[str], network: Network | None
) -> RuleView:
    mine = tuple(grant for grant in grants if grant.rule == rule.name)
    gone = (grant for grant in mine if grant.mode is not RuleMode.OBSERVE and not _is_there(grant.scope, network))
    lost = (f"{one.mode} for {one.scope.replace(':', ' ')}, which the network files do not have" for one in gone)
    digest = rule.digest
    modes = {grant.scope: grant.mode_of(digest) for grant in mine}
    return RuleView(
        name=rule.name,
        description=rule.description,
        mode=modes.pop(EVERYWHERE, RuleMode(rule.mode)),
        scopes=modes,
        changed=any(grant.mode is not RuleMode.OBSERVE and grant.digest != digest for grant in mine),
        digest=digest,
        record=backend.store.rules.figures(rule.name),
        grants=mine,
        content=rule,
        warnings=(*strange, *lost),
    )


def _is_there(scope: str, network: Network | None) -> bool:
    """Whether the network files, if any, have the region or tenant of a mode."""
    if network is None or scope == EVERYWHERE:
        return True
    kind, _, name = scope.partition(":")
    return name in (network.region_by_id if f"{kind}:" == REGION else network.tenant_by_id)


@router.get("/remediation")
def remediation(backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Remediation:
    """Whether automatic repair is stopped, since when, by whom and why."""
    state, limits = backend.store.switches.get(REMEDIATION_STOPPED), backend.settings
    wrong = left_out(backend.store.definitions.get())
    return Remediation(
        stopped=state.on,
        since=state.since,
        by=state.by,
        reason=state.reason,
        limit=limits.repair_limit,
        minutes=limits.repair_limit_minutes,
        rules=len(entries_in_force(backend.store)),
        left_out={path: problems[0] for path, problems in wrong.items()},
    )


@router.put("/remediation")
def switch(asked: RepairSwitch, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]) -> Remediation:
    """Stop or resume all automatic repair. Repairs under way finish.

    This also resumes automatic repair after the breaker stopped it.
    """
    if asked.stopped:
        backend.store.switches.set(REMEDIATION_STOPPED, True, who.name, asked.reason)
    else:
        resume(backend.store, backend.clock.now(), who.name, asked.reason)
    return remediation(backend, who)


@router.get("/remediation/proposals")
def proposals(
    backend: Backend,
    paging: Paging,
    _: Annotated[Person, needs(Permission.OVERSEE)],
    state: Annotated[list[ProposalState] | None, Query()] = None,
    rule: Annotated[str, Query(description="Only those of this rule.", max_length=100)] = "",
    alarm: Annotated[str, Query(description="Only those for this alarm.", max_length=100)] = "",
) -> Listing[Proposal]:
    """Proposals of rules for alarms, with their state, newest first."""
    total, found = backend.store.rules.page(paging, state or (), rule, alarm)
    return listing(total, found, paging)


@router.post("/remediation/proposals/{proposal_id}/approve")
def approve(
    proposal_id: str, said: ProposalAnswer, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]
) -> Proposal:
    """Approve a proposal that asks: its run begins, unless a guard refuses it by then."""
    return _answer(backend, proposal_id, who, said.reason, yes=True)


@router.post("/remediation/proposals/{proposal_id}/deny")
def deny(
    proposal_id: str, said: ProposalAnswer, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]
) -> Proposal:
    """Deny a proposal that asks: its alarm is escalated."""
    return _answer(backend, proposal_id, who, said.reason, yes=False)


def _answer(backend: Services, proposal_id: str, who: Person, reason: str, *, yes: bool) -> Proposal:
    said = backend.store.transaction(_answered, proposal_id, who, reason, yes=yes)
    if isinstance(said, Proposal):
        return said
    raise ConflictError(said)


def _answered(store: Store, proposal_id: str, who: Person, reason: str, *, yes: bool) -> Proposal | str:
    """A proposal with the answer; or why it asks nothing any more, which is on record then."""
    asked = store.rules.get(proposal_id)
    why = _void_because(store, asked) if asked.state is ProposalState.ASKED else ""
    if not why:
        return store.rules.answer(proposal_id, yes=yes, by=who.name, reason=reason)
    store.rules.move(asked, ProposalState.VOID, reason=why)
    return f"{proposal_id} is void: {why}; see what is asked now"


def _void_because(store: Store, asked: Proposal) -> str:
    """Why a question is not asked any more: it was about a rule and an alarm as they were. Empty if it still is."""
    rule = next((rule for rule in rules_in_force(store) if rule.name == asked.rule), None)
    if rule is None:
        return f"rule {asked.rule} is not in force any more"
    if rule.digest != asked.digest:
        return f"rule {asked.rule} changed since it asked"
    alarm, (_, network) = store.alarms.get(asked.alarm), store.networks.get()
    if mode_for(store.rules.grants(), rule, alarm, network)[0] is RuleMode.OBSERVE:
        return f"rule {asked.rule} only observes by now"
    changed = alarm.cleared is not None or asked.seen != likeness(alarm)
    return f"alarm {alarm.id} changed since" if changed else ""
