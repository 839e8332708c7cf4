"""Why a run begins nothing more before all its devices were begun, as data: a code of a closed list, with parameters.

The record keeps reasons, and decisions are made by their codes. Words for people are made of them here and nowhere
else; nothing reads them again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from controller.models.enums import Outcome
from controller.models.many import first_names
from controller.models.scalars import Noun


class StopCode(StrEnum):
    """Why a run begins nothing more.

    - ``cancel``: a person cancelled or rejected it.
    - ``divergence``: devices ended ``diverged``.
    - ``soak``: a check after the soak of a wave failed.
    - ``failures``: as many failures as its strategy accepts no more.
    - ``canary``: no canary carries the change.
    - ``files``: a part of its plan does not follow any more from the network files and agreements in force.
    - ``repair``: a guard of automatic repair said no right before the run acted.
    """

    CANCEL = "cancel"
    DIVERGENCE = "divergence"
    SOAK = "soak"
    FAILURES = "failures"
    CANARY = "canary"
    FILES = "files"
    REPAIR = "repair"


class StopReason(Noun):
    """The reason for which a run begins nothing more.

    Attributes:
        code: Its kind; all else depends on it.
        subject: The device whose soak failed, or that a guard left alone.
        because: How the soak failed, or what the guard said.
        count: Number of devices that it is about; of ``failures``, the number of these.
        limit: The number of failures at which the strategy stops.
        ended: The first few of these devices, with how they ended.
    """

    code: StopCode
    subject: str = ""
    because: str = ""
    count: int = 0
    limit: int = 0
    ended: dict[str, Outcome] = {}

    @property
    def words(self) -> str:
        """The reason for people."""
        devices = f"{self.count} device{'' if self.count == 1 else 's'}"
        match self.code:
            case StopCode.CANCEL:
                return "cancelled by a person"
            case StopCode.DIVERGENCE:
                return f"{devices} diverged: {first_names(list(self.ended), of=self.count)}"
            case StopCode.SOAK:
                return f"the soak failed at {self.subject}: {self.because}"
            case StopCode.FAILURES:
                named = f": {self._ends}" if self.ended else ""
                return f"{self.count} failures reached the threshold of {self.limit}{named}"
            case StopCode.CANARY:
                return f"no canary carries the change: {self._ends}"
            case StopCode.FILES:
                return f"{devices} never began: what they should do does not follow any more from the network files"
            case StopCode.REPAIR:
                return f"{self.subject} was left alone: {self.because}"
            case _:
                assert_never(self.code)

    @property
    def _ends(self) -> str:
        return first_names([f"{device} ended {outcome}" for device, outcome in self.ended.items()], of=self.count)
