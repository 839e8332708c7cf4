"""Trust in rules: people give it by promotion, and rules lose it by their results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from controller.models.alarm import (
    RULE_DEMOTED,
    Alarm,
    AlarmReport,
    PerceivedSeverity,
)
from controller.models.network import Network
from controller.models.rule import EVERYWHERE, RuleGrant, RuleMode, grant_for
from controller.remediation.rules import Rule
from controller.store import Store

log = structlog.get_logger()

#: Why a rule is demoted that was promoted with other content, or with other playbooks.
NOT_AS_PROMOTED = "it, or one of its playbooks, is not as it was promoted"


def region_of(alarm: Alarm, network: Network) -> str:
    """The region of an alarm's device; empty if the network does not have it."""
    return network.region_of(alarm.station) if network.manages(alarm.station) else ""


def mode_for(
    grants: Sequence[RuleGrant], rule: Rule, alarm: Alarm, network: Network
) -> tuple[RuleMode, RuleGrant | None]:
    """The mode of a rule for an alarm, and the grant that decides it; None if its file does."""
    grant = grant_for(grants, rule.name, alarm, region_of(alarm, network))
    return (RuleMode(rule.mode) if grant is None else grant.mode_of(rule.digest)), grant


def promote(store: Store, rule: Rule, scope: str, mode: RuleMode, now: datetime, *, by: str, reason: str) -> RuleGrant:
    """Set a rule's mode as a person says; a promotion clears the alarm of the rule's demotion.

    A rule set to observe everywhere also observes in each region and for each tenant for which it was promoted.
    """
    digest = rule.digest
    made = store.rules.set_mode(rule.name, scope, mode, by=by, reason=reason, digest=digest)
    for grant in _promoted(store, rule.name) if (scope, mode) == (EVERYWHERE, RuleMode.OBSERVE) else ():
        store.rules.set_mode(rule.name, grant.scope, mode, by=by, reason=reason, digest=digest)
    known = (_object(rule, EVERYWHERE), _object(rule, scope)) if mode is not RuleMode.OBSERVE else ()
    for one in store.alarms.standing([""]) if known else ():
        if one.probable_cause == RULE_DEMOTED and one.object in known:
            store.alarms.report(AlarmReport.of_controller(one.object, RULE_DEMOTED, PerceivedSeverity.CLEARED, now))
    return made


def judge(store: Store, rule: Rule, scope: str, now: datetime) -> None:
    """Demote a rule whose repairs did not help; called when a repair ends that its mode in a scope allowed.

    Some in a row say that something is wrong there, and demote it there. A low share wherever it acted says that the
    rule is wrong, and demotes it everywhere: scopes where it was demoted since count as well, but nothing does that
    began before all promotions which are in force.
    """
    trust, in_a_row = rule.trust, store.rules.figures(rule.name, scope).in_a_row
    promoted = _promoted(store, rule.name)
    if in_a_row >= trust.failures:
        demote(store, rule, f"{in_a_row} repairs in a row did not help", now, scope)
    record = store.rules.figures(rule.name, since=min((one.at for one in promoted), default=None))
    if record.sample >= trust.sample and record.lower_bound < trust.threshold:
        share = f"{record.successes} of {record.sample} repairs helped, so {record.lower_bound:.0%} at least"
        demote(store, rule, f"{share}; {trust.threshold:.0%} were wanted", now)


def demote(store: Store, rule: Rule, reason: str, now: datetime, scope: str = EVERYWHERE) -> None:
    """Let a rule only observe in a scope where it was promoted, and notify people with an alarm.

    ``EVERYWHERE`` includes each region and tenant for which it was promoted. Does nothing if it observes there already.
    """
    if not withdraw(store, rule.name, reason, scope):
        return
    name = f"rule:{rule.name}"
    where, option = f" for {scope.replace(':', ' ')}", f" --{scope.replace(':', ' ')}"
    text = f"rule {rule.name} only observes{scope and where} from now on; read its repairs, then: "
    text += f"minka rules promote {rule.name}{scope and option}"
    alarm = store.alarms.report(
        AlarmReport.of_controller(_object(rule, scope), RULE_DEMOTED, PerceivedSeverity.MAJOR, now, text)
    )
    store.alarms.escalate(alarm, reason, actor=name)
    log.error("rule.demoted", rule=rule.name, scope=scope, reason=reason)


def withdraw(store: Store, rule: str, reason: str, scope: str = EVERYWHERE) -> bool:
    """Let a rule only observe in a scope where it was promoted; returns whether it was promoted there."""
    promoted = [one for one in _promoted(store, rule) if scope in (EVERYWHERE, one.scope)]
    for one in promoted:
        store.rules.set_mode(rule, one.scope, RuleMode.OBSERVE, by=f"rule:{rule}", reason=reason, digest=one.digest)
    return bool(promoted)


def _promoted(store: Store, rule: str) -> list[RuleGrant]:
    return [one for one in store.rules.grants() if one.rule == rule and one.mode is not RuleMode.OBSERVE]


def _object(rule: Rule, scope: str) -> str:
    """Object of a demotion's alarm: the rule, or the rule in one scope."""
    return f"{rule.name}/{scope}" if scope else rule.name
