"""What the configuration of a station does to its radio: cells on air, core links up, alarms about links.

A cell is on air when it is unlocked, enabled and broadcasts a PLMN; a core link is up when its
endpoints are those of a tenant's core and nothing broke it. Both take a moment to settle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from simulators.alarms import Alarm
from simulators.clock import Clock, Timer
from simulators.datastore import Config, Path, State
from simulators.network import Core, StationRecord
from simulators.survey import CellSurvey, LinkSurvey, cells_of, links_of

#: o-ran-fm fault-id of a core link that is down; vendors number their own faults from 1000 on.
CORE_LINK_DOWN = 1001
#: Tolerance of moments computed by adding seconds, in seconds.
_EPSILON = 1e-6


class UnknownLinkError(Exception):
    """The station has no such core link."""


@dataclass(slots=True)
class _Cell:
    survey: CellSurvey
    since: float


@dataclass(slots=True)
class _Link:
    survey: LinkSurvey
    since: float


class Radio:
    """The live side of one station; ``on_alarm`` hears of each alarm raised (True) or cleared (False)."""

    def __init__(
        self,
        record: StationRecord,
        cores: tuple[Core, ...],
        clock: Clock,
        settle_seconds: float,
        on_alarm: Callable[[Alarm, bool], None],
    ) -> None:
        self._record = record
        self._cores = cores
        self._clock = clock
        self._settle_seconds = settle_seconds
        self._on_alarm = on_alarm
        self._config: Config | None = None
        self._cells: dict[Path, _Cell] = {}
        self._links: dict[Path, _Link] = {}
        self._broken: set[Path] = set()
        self._alarms: dict[Path, Alarm] = {}
        self._timer: Timer | None = None
        self._state: State | None = None

    @property
    def alarms(self) -> Iterable[Alarm]:
        """The active alarms."""
        return self._alarms.values()

    # -------------------------------------------------------- what happens

    def follow(self, config: Config, stages: Iterable[Config] = ()) -> tuple[str, ...]:
        """Take on a new running configuration; return the names of broken links that it cured.

        A broken link is cured by deleting its end point and creating it again, in one commit or in two:
        ``stages`` are the candidates on the way to this configuration.
        """
        self._config = config
        now = self._clock.monotonic()
        cured = self._cure([*stages, config])
        cells, links = {}, {}
        for cell in cells_of(config):
            known = self._cells.get(cell.path)
            unchanged = known is not None and known.survey == cell
            cells[cell.path] = _Cell(cell, known.since if known is not None and unchanged else now)
        for link in links_of(config, self._record, self._cores):
            old = self._links.get(link.path)
            same = old is not None and old.survey == link and link.name not in cured
            links[link.path] = _Link(link, old.since if old is not None and same else now)
        self._cells, self._links = cells, links
        self._settle_later()
        return cured

    def _cure(self, stages: list[Config]) -> tuple[str, ...]:
        if not self._broken:
            return ()
        gone = {path for path in self._broken for stage in stages if stage.get(path[:-1]) is None}
        self._broken -= gone
        return tuple(sorted(self._links[path].survey.name for path in gone if path in self._links))

    def break_link(self, wanted: str) -> tuple[str, ...]:
        """Break the core links of a tenant, or the one with this end point id; return their names.

        Raises:
            UnknownLinkError: no configured link fits.
        """
        paths = self._find(wanted)
        self._broken |= set(paths)
        self._update()
        return tuple(self._links[path].survey.name for path in paths)

    def restore_link(self, wanted: str) -> tuple[str, ...]:
        """Take the fault away from links; return the names of those that were broken.

        Raises:
            UnknownLinkError: no configured link fits.
        """
        paths = [path for path in self._find(wanted) if path in self._broken]
        for path in paths:
            self._broken.discard(path)
            self._links[path].since = self._clock.monotonic()
        self._settle_later()
        return tuple(self._links[path].survey.name for path in paths)

    def _find(self, wanted: str) -> list[Path]:
        paths = [path for path, link in self._links.items() if wanted in (link.survey.id, link.survey.tenant)]
        if not paths:
            raise UnknownLinkError(f"{self._record.id} has no core link of tenant or end point {wanted}")
        return paths

    # ------------------------------------------------------ what follows

    def _settle_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._update()
        if self._settle_seconds > 0 and (self._cells or self._links or self._alarms):
            self._timer = self._clock.call_later(self._settle_seconds, self._update)

    def _update(self) -> None:
        self._state = None
        for path in [path for path in self._alarms if not self._link_down(path)]:
            self._on_alarm(self._alarms.pop(path), False)
        for path, link in self._links.items():
            if path not in self._alarms and self._link_overdue(path, link):
                alarm = self._alarms[path] = self._alarm(link.survey)
                self._on_alarm(alarm, True)

    def _settled(self, since: float) -> bool:
        return self._clock.monotonic() - since >= self._settle_seconds - _EPSILON

    def _on_air(self, cell: _Cell) -> bool:
        return cell.survey.wants_air and self._settled(cell.since)

    def _link_up(self, path: Path, link: _Link) -> bool:
        return link.survey.unlocked and link.survey.right and path not in self._broken and self._settled(link.since)

    def _link_down(self, path: Path) -> bool:
        """Whether a link that should be up is not; a deleted or locked one should not."""
        link = self._links.get(path)
        return link is not None and link.survey.unlocked and not self._link_up(path, link)

    def _link_overdue(self, path: Path, link: _Link) -> bool:
        return self._link_down(path) and (path in self._broken or self._settled(link.since))

    def _alarm(self, link: LinkSurvey) -> Alarm:
        return Alarm(
            fault_id=CORE_LINK_DOWN,
            source=link.name,
            affected=(link.distinguished_name,),
            severity="MAJOR",
            text=f"core link to {link.remote or 'nowhere'} is down",
            raised=self._clock.now(),
        )

    # --------------------------------------------------------- what is told

    def state(self) -> State:
        """The state below the configuration, as ``<get>`` shows it."""
        assert self._config is not None
        if self._state is None:
            values: dict[Path, str] = {}
            for path, cell in self._cells.items():
                values[*path, "operationalState"] = "ENABLED"
                values[*path, "cellState"] = self._cell_state(cell)
            for path, link in self._links.items():
                values[*path, "operationalState"] = "ENABLED" if self._link_up(path, link) else "DISABLED"
            self._state = State.of(self._config.schema, values)
        return self._state

    def _cell_state(self, cell: _Cell) -> str:
        if self._on_air(cell):
            return "ACTIVE"
        return "INACTIVE" if cell.survey.unlocked else "IDLE"

    def summary(self) -> dict[str, int]:
        """How many cells and core links there are, and how many of them work."""
        return {
            "cells": len(self._cells),
            "cells_on_air": sum(self._on_air(cell) for cell in self._cells.values()),
            "links": len(self._links),
            "links_up": sum(self._link_up(path, link) for path, link in self._links.items()),
            "alarms": len(self._alarms),
        }
