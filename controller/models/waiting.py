"""Why something waits, as data: a code of a closed list, whom or what it is about, and who can end it.

The record keeps reasons, and everything that decides does so by their codes. Words for people are made of them here
and nowhere else; nothing reads them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from enum import StrEnum
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime

from controller.models.errors import BUG
from controller.models.scalars import Noun
from controller.models.sharing import ActionClass


class WaitCode(StrEnum):
    """Why a job, a run or the repair of an alarm waits.

    - ``approval``: people of a side have not agreed yet. ``rejection``: one of them said no.
    - ``notice``: a tenant was not notified early enough yet.
    - ``window``: it is outside of the maintenance windows. ``freeze``, ``warning``: a freeze, or a public warning.
    - ``hold``: a person's hold.
    - ``away``: the device could not be reached or was busy, and is tried again.
    - ``run``: another run works there.
    - ``pause``, ``question``: a person paused the run, or has to answer a question of it.
    - ``worker``: no worker lives.
    - ``files``: it is not known yet what of the plan still follows from the network files in force.
    - ``step``: a step reads its device, waits for a state of it, or rests until a time.
    - ``soak``: a wave runs for a time before the next one begins.
    - ``timer``: a change is taken back, as by the device's own timer.
    - ``shelving``, ``work``: the alarm is shelved, or announced work of a tenant explains it.
    - ``stop``: automatic repair is stopped.
    - ``answer``: a person has to say yes to the repair.
    - ``share``: as many stations of the region are under repair as may be, or a graver fault there goes first.
    - ``other``: another guard of automatic repair says no for now.
    - ``bug``: a bug in Minka.
    """

    APPROVAL = "approval"
    REJECTION = "rejection"
    NOTICE = "notice"
    WINDOW = "window"
    FREEZE = "freeze"
    WARNING = "warning"
    HOLD = "hold"
    AWAY = "away"
    RUN = "run"
    PAUSE = "pause"
    QUESTION = "question"
    WORKER = "worker"
    FILES = "files"
    STEP = "step"
    SOAK = "soak"
    TIMER = "timer"
    SHELVING = "shelving"
    WORK = "work"
    STOP = "stop"
    ANSWER = "answer"
    SHARE = "share"
    OTHER = "other"
    BUG = "bug"

    @property
    def way(self) -> str:
        """Who can end such a wait, and how; empty where it ends by itself, or where only the case tells."""
        return _WAYS.get(self, "")

    @property
    def counted(self) -> WaitCode:
        """As which code such waits count in ``minka_runs_waiting``: most of what ends by itself counts together."""
        match self:
            case WaitCode.WARNING:
                return WaitCode.FREEZE
            case WaitCode.ANSWER:
                return WaitCode.APPROVAL
            case WaitCode.QUESTION | WaitCode.PAUSE | WaitCode.WORKER:
                return self
            case _:
                return self if self.way else WaitCode.OTHER


_LIFTS = "whoever may lift or override it: minka freeze lift, minka override"
#: Who can end waits that do not end by themselves, and how.
_WAYS = {
    WaitCode.APPROVAL: "its approvers: minka approve",
    WaitCode.FREEZE: _LIFTS,
    WaitCode.WARNING: _LIFTS,
    WaitCode.WINDOW: "whoever may override windows: minka override",
    WaitCode.SHELVING: "whoever may shelve it: minka alarms unshelve",
    WaitCode.WORK: "its tenant: minka works cancel",
    WaitCode.HOLD: "whoever may lift it: minka hold lift",
    WaitCode.ANSWER: "whoever may run playbooks: minka remediation approve, minka remediation deny",
    WaitCode.STOP: "whoever may stop it: minka remediation resume",
}


#: All codes as which waits count.
COUNTED = tuple(dict.fromkeys(code.counted for code in WaitCode))


def ways(codes: Iterable[WaitCode]) -> str:
    """Who can end waits of these codes, and how; empty where all end by themselves."""
    return "; ".join(dict.fromkeys(code.way for code in codes if code.way))


#: Codes of what a job may wait for before it begins.
_OfJobs = Literal[
    WaitCode.APPROVAL,
    WaitCode.REJECTION,
    WaitCode.NOTICE,
    WaitCode.WINDOW,
    WaitCode.FREEZE,
    WaitCode.WARNING,
    WaitCode.HOLD,
    WaitCode.AWAY,
    WaitCode.RUN,
    WaitCode.BUG,
]


class WaitReason(Noun):
    """One reason for which a job may not begin.

    Attributes:
        code: Which one; all else depends on it.
        subject: The side that has to agree or to be notified, the target of a hold or freeze, the run that works there,
            or the person who said no.
        until: When it ends by itself; None where that is not known.
        timezone: IANA name of the time zone in which people are told that time; empty for UTC.
        by: Who put the hold.
        because: The reason that a person gave.
        warning: Id of the public warning.
        device: The device on which the other run works.
        hours: Hours between notice and work.
        seconds: Time that work needs, where no window is as long.
        needed: Number of approvals.
        approvers: People who may approve; empty for all approvers of the side.
        action: Class of action that is to be approved; None where a playbook asks.
        sign_in: Whether only people count who signed in at the identity provider.
        stands_for: The tenant in whose place the host is asked.
    """

    code: _OfJobs
    subject: str = ""
    until: AwareDatetime | None = None
    timezone: str = ""
    by: str = ""
    because: str = ""
    warning: str = ""
    device: str = ""
    hours: int = 0
    seconds: float = 0
    needed: int = 0
    approvers: tuple[str, ...] = ()
    action: ActionClass | None = None
    sign_in: bool = False
    stands_for: str = ""

    @property
    def words(self) -> str:
        """The reason for people."""
        match self.code:
            case WaitCode.APPROVAL:
                return _approval(self)
            case WaitCode.REJECTION:
                return f"rejected by {self.subject}: {self.because}"
            case WaitCode.NOTICE:
                return f"{self.hours} h notice to {self.subject} until {self._end}"
            case WaitCode.WINDOW:
                return _window(self)
            case WaitCode.FREEZE | WaitCode.WARNING:
                return f"{freeze_name(self.subject, self.warning)} until {self._end}: {self.because}"
            case WaitCode.HOLD:
                return f"hold on {self.subject} by {self.by}: {self.because}"
            case WaitCode.AWAY:
                return "could not be reached or was busy" + (f", tried again {self._end}" if self.until else "")
            case WaitCode.RUN:
                return f"run {self.subject} works on {self.device} and others that are decided together"
            case WaitCode.BUG:
                return BUG
            case _:
                assert_never(self.code)

    @property
    def _end(self) -> str:
        """When it ends, in the time zone in which people are told."""
        zone = ZoneInfo(self.timezone) if self.timezone else UTC
        name = f"({self.timezone})" if self.timezone else "UTC"
        return f"{self.until.astimezone(zone):%Y-%m-%d %H:%M} {name}" if self.until else ""


def codes_of(reasons: Iterable[WaitReason]) -> tuple[WaitCode, ...]:
    """The codes of reasons, each once."""
    return tuple(dict.fromkeys(reason.code for reason in reasons))


def words(reasons: Iterable[WaitReason]) -> str:
    """All reasons for people; empty if there are none."""
    return "; ".join(reason.words for reason in reasons)


def freeze_name(target: str, warning: str) -> str:
    """A freeze or public warning, and where it is, for people."""
    return f"{warning_name(warning)} in {target}" if warning else f"freeze of {target}"


def warning_name(warning: str) -> str:
    """A public warning, for people."""
    return f"public warning {warning}"


def _approval(reason: WaitReason) -> str:
    named = f" ({', '.join(reason.approvers)})" if reason.approvers else ""
    signed = ", signed in at the identity provider" if reason.sign_in else ""
    what = f" to {reason.action}" if reason.action else ""
    instead = f" {reason.stands_for}, which gave no standing consent" if reason.stands_for else ""
    return f"approval by {reason.needed} of {reason.subject}{named}{signed}{what}{instead}"


def _window(reason: WaitReason) -> str:
    if reason.until is None:
        return f"no window of all concerned is longer than {reason.seconds:g} s within two weeks"
    return f"window opens {reason._end}"
