"""Errors of commands, and their exit statuses."""

from __future__ import annotations

from typing import Any


class CliError(Exception):
    """An error that is printed for the user; the command then exits with ``status``."""

    def __init__(self, message: str, status: int = 1, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem or {"detail": message}

    @property
    def code(self) -> str:
        """The code of the API's error tree that the problem has; empty if it has none."""
        return str(self.problem.get("type", "")).rpartition(":")[2]


#: Exit statuses: an operation failed; the input is wrong; API or database can't be reached; there are differences; a
#: plan changes nothing, but leaves nodes that nothing asks for any more.
FAILED, WRONG_INPUT, UNREACHABLE, DIFFERENT, ORPHANED = 1, 2, 3, 10, 11
