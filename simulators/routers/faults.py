"""Injected faults of a router: kind, line and count; equal for an equal seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulators.faults import InjectedFault, InjectedFaults


class RouterFaultKind(StrEnum):
    """Kinds of faults. The first group strikes a line, the others the whole router."""

    REFUSE_LINE = "refuse-line"
    """A configuration line is refused with a % and not applied."""
    REFUSE_LINE_PLAINLY = "refuse-line-plainly"
    """A configuration line is refused in words without a %."""
    SWALLOW_LINE = "swallow-line"
    """A configuration line is taken without a word and without effect."""
    SAVE_FAILS_SILENTLY = "save-fails-silently"
    """Saving prints neither OK nor an error, and saves nothing."""
    SAVE_LIES = "save-lies"
    """Saving prints OK and saves nothing."""
    DROP_BEFORE = "drop-before"
    """The session drops before a line is carried out."""
    DROP_AFTER = "drop-after"
    """The session drops after a line was carried out."""
    HANG = "hang"
    """The line is carried out, and nothing comes from the session ever after."""
    DELAY = "delay"
    """The next prompt comes ``seconds`` later."""
    GARBAGE = "garbage"
    """Characters that make no sense come before the prompt."""
    LOG_LINES = "log-lines"
    """A log message with a % comes before the prompt although the line went well."""

    REFUSE_SESSIONS = "refuse-sessions"
    """Connections are closed as they come in."""
    CHANGED_HOST_KEY = "changed-host-key"
    """The router shows a host key that is not the known one."""


#: Faults of the router as a whole.
ROUTER_FAULTS = frozenset({RouterFaultKind.REFUSE_SESSIONS, RouterFaultKind.CHANGED_HOST_KEY})
#: Faults of lines that would change the configuration.
CONFIGURATION_FAULTS = frozenset(
    {RouterFaultKind.REFUSE_LINE, RouterFaultKind.REFUSE_LINE_PLAINLY, RouterFaultKind.SWALLOW_LINE}
)
SAVE_FAULTS = frozenset({RouterFaultKind.SAVE_FAILS_SILENTLY, RouterFaultKind.SAVE_LIES})
LINE_FAULTS = frozenset(RouterFaultKind) - ROUTER_FAULTS - CONFIGURATION_FAULTS - SAVE_FAULTS


@dataclass(slots=True)
class RouterFault(InjectedFault):
    """One injected fault of a router.

    Attributes:
        command: Prefix of the commands that it strikes, as in ``ip route`` or ``write``; empty means any.
        line: Number of the line after ``configure terminal`` that it strikes, from 1; 0 means any line anywhere.
    """

    kind: RouterFaultKind
    command: str = ""
    line: int = 0

    def fits(self, command: str, line: int) -> bool:
        """Whether it may strike here; ``line`` is 0 outside configuration mode."""
        return command.startswith(self.command) and self.line in (0, line)

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON carries it."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "command": self.command,
            "line": self.line,
            "count": self.count,
            "probability": self.probability,
            "seconds": self.seconds,
            "struck": self.struck,
        }


class RouterFaults(InjectedFaults[RouterFault]):
    """The faults of one router."""

    __slots__ = ()

    def take(self, kinds: frozenset[RouterFaultKind], command: str = "", line: int = 0) -> tuple[RouterFault, ...]:
        """Return the faults of these kinds that strike here and now, each counted down by one."""
        return self.strike(lambda fault: fault.kind in kinds and fault.fits(command, line))
