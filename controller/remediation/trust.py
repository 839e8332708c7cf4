"""Trust in rules: persons give it by promotion, and rules lose it by themselves."""

from __future__ import annotations

from datetime import datetime

import structlog

from controller.models.alarm import (
    RULE_DEMOTED,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.rule import RuleGrant, RuleMode
from controller.ports.store import Store
from controller.remediation.rules import Rule

log = structlog.get_logger()


def promote(
    store: Store, rule: Rule, scope: str, mode: RuleMode, now: datetime, *, by: str, reason: str, digest: str
) -> RuleGrant:
    """Set a rule's mode as a person says; one that may do more than observe again clears the alarm of its demotion."""
    made = store.rules.set_mode(rule.name, scope, mode, by=by, reason=reason, digest=digest)
    standing = store.alarms.standing([""]) if mode is not RuleMode.OBSERVE else []
    if any((one.probable_cause, one.object) == (RULE_DEMOTED, rule.name) for one in standing):
        store.alarms.report(_report(rule, PerceivedSeverity.CLEARED, now))
    return made


def judge(store: Store, rule: Rule, now: datetime) -> None:
    """Demote a rule whose repairs helped too rarely since it was promoted; to be asked when one has ended."""
    trust, record = rule.trust, store.rules.figures(rule.name)
    if record.in_a_row >= trust.failures:
        demote(store, rule, f"{record.in_a_row} repairs in a row did not help", now)
    elif record.sample >= trust.sample and record.lower_bound < trust.threshold:
        share = f"{record.successes} of {record.sample} repairs helped, so {record.lower_bound:.0%} at least"
        demote(store, rule, f"{share}; {trust.threshold:.0%} were wanted", now)


def demote(store: Store, rule: Rule, reason: str, now: datetime) -> None:
    """Let a rule only observe wherever it was promoted, and ask people with an alarm; nothing if it does so already."""
    promoted = [one for one in store.rules.grants() if one.rule == rule.name and one.mode is not RuleMode.OBSERVE]
    if not promoted:
        return
    name = f"rule:{rule.name}"
    for one in promoted:
        store.rules.set_mode(rule.name, one.scope, RuleMode.OBSERVE, by=name, reason=reason, digest=one.digest)
    text = f"rule {rule.name} only observes from now on; read its repairs, then: minka rules promote {rule.name}"
    alarm = store.alarms.report(_report(rule, PerceivedSeverity.MAJOR, now, text))
    store.alarms.escalate(alarm, reason, actor=name)
    log.error("rule.demoted", rule=rule.name, reason=reason)


def _report(rule: Rule, severity: PerceivedSeverity, at: datetime, text: str = "") -> AlarmReport:
    return AlarmReport(
        station="",
        object=rule.name,
        object_class=ObjectClass.CONTROLLER,
        probable_cause=RULE_DEMOTED,
        severity=severity,
        text=text,
        source=AlarmSource.CHECK,
        at=at,
    )
