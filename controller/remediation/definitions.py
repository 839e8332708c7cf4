"""Definitions that can't be used: what is wrong with their files, and the alarms about them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import structlog

from controller.inventory.source import Report
from controller.models.alarm import DEFINITION_LEFT_OUT, AlarmReport, AlarmState, PerceivedSeverity
from controller.models.definitions import DefinitionFiles, DefinitionKind, Definitions
from controller.models.errors import InputError, Problem
from controller.models.many import first_names
from controller.performance.kpis import parse_kpis
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import Library
from controller.ports.clock import Clock
from controller.remediation.rules import parse_rules
from controller.remediation.schedule import parse_schedules
from controller.store import AsyncStore, Store

log = structlog.get_logger()

#: The most problems of a file that its alarm repeats.
_MOST = 5


@lru_cache(maxsize=4)
def left_out(definitions: Definitions) -> Mapping[str, tuple[str, ...]]:
    """Files of a version by which nothing acts, by path, each with all its problems (line, field, what is right)."""
    return _by_file(_report(definitions.files).problems)


def check(files: DefinitionFiles) -> list[Problem]:
    """Check that all files may come into force: each is valid, and what rules run is there and takes what it gets.

    Returns:
        What may be wrong in them, but may be meant so.

    Raises:
        InputError: Every problem of every file, one a line.
    """
    report = _report(files, together=True)
    if report.problems:
        raise InputError("\n".join(str(problem) for problem in report.problems))
    return report.warnings


def _report(files: DefinitionFiles, *, together: bool = False) -> Report:
    """Problems of files; with ``together`` also of rules whose playbook is missing or takes something else."""
    report = Report()
    for path, why in sorted(files.unread.items()):
        report.file(path, *why)
    library = Library(files.of(DefinitionKind.PLAYBOOK), registry())
    list(library.all(report))
    parse_rules(files.of(DefinitionKind.RULE), report, library if together else None)
    parse_schedules(files.of(DefinitionKind.ON_CALL), report)
    for kind in (DefinitionKind.KPI, DefinitionKind.REGULATOR_KPI):
        parse_kpis(files.of(kind), report)
    return report


def _by_file(problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.file, []).append(str(problem))
    return {path: tuple(lines) for path, lines in found.items()}


class DefinitionWatch:
    """Raises an alarm for each file that is in force but left out, and clears it when another version is in force.

    People are notified: what a rule is for does not happen without it.
    """

    def __init__(self, store: AsyncStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: Definitions | None = None

    async def step(self) -> None:
        """Look at the version in force, if it is another one than before."""
        definitions = await self._store.definitions.get()
        if definitions == self._known:
            return
        wrong = left_out(definitions)
        await self._store.transaction(self._report, wrong)
        self._known = definitions
        log.info("definitions.in_force", number=definitions.number, digest=definitions.digest, by=definitions.by)
        for path, problems in wrong.items():
            log.error("definitions.left_out", file=path, problems=problems)

    def _report(self, store: Store, wrong: Mapping[str, tuple[str, ...]]) -> None:
        now = self._clock.now()
        for one in store.alarms.standing([""]):
            if one.probable_cause == DEFINITION_LEFT_OUT and one.object not in wrong:
                cleared = PerceivedSeverity.CLEARED
                store.alarms.report(AlarmReport.of_controller(one.object, DEFINITION_LEFT_OUT, cleared, now))
        for path, problems in wrong.items():
            text = _words(path, problems)
            alarm = store.alarms.report(
                AlarmReport.of_controller(path, DEFINITION_LEFT_OUT, PerceivedSeverity.MAJOR, now, text)
            )
            if alarm.state is AlarmState.RAISED:  # else people know
                store.alarms.escalate(alarm, text, actor="minka")


def _words(path: str, problems: tuple[str, ...]) -> str:
    return f"{path} is left out, all other files are in force: {first_names(problems, _MOST, '; ')}"
