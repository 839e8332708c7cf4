"""The breaker: too many repairs at once stop all automatic repair until a person resumes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from controller.models.alarm import (
    BREAKER,
    REMEDIATION_STOPPED,
    TOO_MANY_REPAIRS,
    AlarmReport,
    PerceivedSeverity,
)
from controller.store import Store

log = structlog.get_logger()

_BEGINNING = datetime.min.replace(tzinfo=UTC)
#: Object of the breaker's alarm, which is on no station.
_OBJECT = "automatic-repair"


@dataclass(frozen=True, slots=True)
class Breaker:
    """Stops all automatic repair when more than ``limit`` repairs began within ``minutes``.

    It sets the switch on record that people set, too, so that all schedulers stop, and people resume as usual.
    Repairs from before the switch was last set do not count.
    """

    limit: int = 20
    minutes: float = 10.0

    def began(self, store: Store, now: datetime) -> int:
        """The number of repairs that count now."""
        set_at = store.switches.get(REMEDIATION_STOPPED).since or _BEGINNING
        return store.repairs.count_all(max(now - timedelta(minutes=self.minutes), set_at))

    def lets(self, store: Store, now: datetime) -> bool:
        """Whether one more repair may begin; call it in the transaction that begins the repair.

        If not, it stops repair, and notifies people with an alarm, once.
        """
        began = self.began(store, now)
        if store.switches.is_on(REMEDIATION_STOPPED):
            return False
        if began < self.limit:
            return True
        reason = f"{began} automatic repairs began within {self.minutes:g} min: something larger is wrong"
        store.switches.set(REMEDIATION_STOPPED, True, BREAKER, reason)
        text = "the breaker stopped automatic repair; find the cause, then: minka remediation resume"
        alarm = store.alarms.report(
            AlarmReport.of_controller(_OBJECT, TOO_MANY_REPAIRS, PerceivedSeverity.CRITICAL, now, text)
        )
        store.alarms.escalate(alarm, reason, actor=BREAKER)
        log.error("remediation.stopped", by=BREAKER, reason=reason)
        return False


def resume(store: Store, now: datetime, actor: str, reason: str) -> None:
    """Let repairs begin again, and clear the breaker's alarm if there is one."""
    if any(alarm.probable_cause == TOO_MANY_REPAIRS for alarm in store.alarms.standing([""])):
        store.alarms.report(AlarmReport.of_controller(_OBJECT, TOO_MANY_REPAIRS, PerceivedSeverity.CLEARED, now))
    store.switches.set(REMEDIATION_STOPPED, False, actor, reason)
