"""Rules on record: their modes, and their proposals for alarms with the results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import AwareDatetime, computed_field

from controller.models.alarm import Alarm
from controller.models.enums import ProposalState as ProposalState  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import RuleMode as RuleMode  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.network import Noun
from controller.models.scalars import DerivingNoun

#: Scopes of modes: everywhere, and the prefixes of a region's and a tenant's scope.
EVERYWHERE, REGION, TENANT = "", "region:", "tenant:"
#: Normal deviate of a two-sided confidence of 95 %.
_Z = 1.96


class RuleGrant(Noun):
    """The mode of a rule in a scope, as somebody set it last.

    Attributes:
        scope: ``EVERYWHERE``, ``region:cusco``, or ``tenant:bitel``: alarms that concern this tenant alone.
        by: The person who set it, or ``rule:NAME`` if the rule demoted itself.
        digest: Digest of the rule and its playbooks at that time; nobody agreed to other content.
    """

    rule: str
    scope: str
    mode: RuleMode
    by: str
    reason: str
    at: AwareDatetime
    digest: str

    def mode_of(self, digest: str) -> RuleMode:
        """The mode of a rule with this digest; a rule that changed since its promotion only observes."""
        return self.mode if digest == self.digest else RuleMode.OBSERVE


class Proposal(Noun):
    """What a rule would do about an alarm with one rung of its ladder, and the result.

    Attributes:
        rung: Index of the rung, from 0.
        mode: Mode of the rule then.
        scope: Scope of that mode (``RuleGrant``); a rule is judged by its results in it.
        seen: State of the alarm then (``likeness``): an approval holds only while the alarm is like that.
        obstacle: Why it could not begin when it was proposed; empty if it could.
        by: Who approved or denied it.
        reason: That person's reason, or why it failed.
        decided: When it was approved or denied.
        before: Cells on air and core links up before the run, by device path or cell id.
        after: The same when it was verified or had failed; None if the device could not be read then.
        ended: When it was verified, or failed.
        holds: Seconds from then on in which the fault must not come again, or it was not cured.
    """

    id: str
    alarm: str
    station: str
    rule: str
    digest: str
    rung: int
    mode: RuleMode
    scope: str = EVERYWHERE
    playbook: str
    parameters: dict[str, Any]
    state: ProposalState
    seen: str
    obstacle: str = ""
    at: AwareDatetime
    by: str = ""
    reason: str = ""
    decided: AwareDatetime | None = None
    run: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] | None = None
    ended: AwareDatetime | None = None
    holds: float = 0.0


class Figures(DerivingNoun):
    """Results of a rule on record, everywhere or in some scopes.

    Attributes:
        observed: Alarms that it only observed.
        refused: Observed alarms where a guard said no.
        healed: Observed alarms that cleared without a repair.
        successes: Alarms that its runs repaired, as verified, since its last promotion in the scope of the run.
        failures: Alarms that its runs did not repair, since then.
        in_a_row: Failures since the last success.
    """

    observed: int = 0
    refused: int = 0
    healed: int = 0
    successes: int = 0
    failures: int = 0
    in_a_row: int = 0

    @property
    def sample(self) -> int:
        """Number of alarms for which it ran something."""
        return self.successes + self.failures

    @computed_field  # type: ignore[prop-decorator]
    @property
    def lower_bound(self) -> float:
        """Share of alarms that it repairs at least, with 95 % confidence (Wilson score interval)."""
        return wilson(self.successes, self.sample)


def wilson(successes: int, sample: int) -> float:
    """Lower bound of the Wilson score interval of a share, with 95 % confidence; 0 without a sample."""
    if not sample:
        return 0.0
    share, z2 = successes / sample, _Z * _Z
    spread = _Z * math.sqrt(share * (1 - share) / sample + z2 / (4 * sample * sample))
    return max(0.0, (share + z2 / (2 * sample) - spread) / (1 + z2 / sample))


def likeness(alarm: Alarm) -> str:
    """The state of an alarm that an approval depends on: if it changes, the approval is void."""
    return f"{alarm.severity.value}:{alarm.run}:{alarm.root}"


def concerns_only(alarm: Alarm, tenants: Iterable[str]) -> bool:
    """Whether an alarm concerns one or more of these tenants, and no other."""
    concerned = {alarm.tenant} if alarm.tenant else set(alarm.tenants)
    return bool(concerned) and concerned <= set(tenants)


def grant_for(grants: Sequence[RuleGrant], rule: str, alarm: Alarm, region: str) -> RuleGrant | None:
    """The grant that decides the mode of a rule for an alarm: that of its region or tenant before that for everywhere.

    If those of region and tenant differ, the one that lets the rule do less.
    """
    of_rule = [grant for grant in grants if grant.rule == rule]
    narrow = [
        grant
        for grant in of_rule
        if (grant.scope.startswith(REGION) and grant.scope == f"{REGION}{region}")
        or (grant.scope.startswith(TENANT) and concerns_only(alarm, [grant.scope.removeprefix(TENANT)]))
    ]
    everywhere = [grant for grant in of_rule if grant.scope == EVERYWHERE]
    return min(narrow or everywhere, key=lambda grant: tuple(RuleMode).index(grant.mode), default=None)
