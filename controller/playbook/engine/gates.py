"""The gates of a playbook's job whose run confirms or takes back units or waves as a whole.

All devices of a group pass a gate together at each step that changes them, also those that had nothing to change
there, and one behind the last step, so that what fails in between takes all back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.models.run import GateVerdict
from controller.ports.store import Claim
from controller.runs.procedures import Tools
from controller.runs.transaction.gates import Gate


@dataclass(frozen=True, slots=True)
class Gating:
    """Where one job waits for its group.

    Attributes:
        changing: Which of the playbook's steps change a device.
    """

    claim: Claim
    tools: Tools
    changing: Sequence[bool]

    def at(self, position: int) -> Gate | None:
        """The gate of a step's change; None where the job is decided on its own."""
        return self.tools.gates.of(self.claim, position)

    async def behind(self, position: int) -> str:
        """Pass a step's gate; why the group was cancelled there, or an empty string."""
        return await self._pass(position) if self.changing[position] else ""

    async def at_end(self) -> str:
        """Pass the gate behind the last step; why the group was cancelled there, or an empty string."""
        return await self._pass(len(self.changing)) if any(self.changing) else ""

    async def cancelled(self) -> str:
        """Why the group was cancelled at any gate, or an empty string: then no further step is begun."""
        gate = self.at(len(self.changing) + 1)
        decision = await gate.look() if gate is not None else None
        return decision.reason if decision is not None else ""

    async def _pass(self, number: int) -> str:
        gate = self.at(number)
        if gate is None or number < (self.claim.job.gate or 0):
            return ""
        await gate.stand()
        decision = await gate.decision()
        return "" if decision.verdict is GateVerdict.CONFIRM else decision.reason
