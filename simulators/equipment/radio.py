"""The radio of a station under configuration, power and faults: cells on air, core links up, and their alarms.

A cell is on air when it is unlocked, able to work and broadcasts a PLMN; one that is shutting down stays until its
users have left. One of a DU whose central unit is another endpoint is able to work while that has the cell. A core link
is up when its endpoints are those of a tenant's core and nothing broke it; one of the user plane when all gateways at
its far end answer GTP-U echoes. Both take a moment to settle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from simulators.clock import Clock, Timer
from simulators.datastore import Config, Path, State
from simulators.equipment.alarms import Alarm
from simulators.equipment.configuration import ConfiguredCell, ConfiguredLink, cells_of, links_of
from simulators.equipment.fault_kinds import CELL_ALARM, LINK_ALARM, USER_PLANE_ALARM, Service
from simulators.network import Core, StationRecord

#: Tolerance of moments computed by adding seconds, in seconds.
_EPSILON = 1e-6


class UnknownLinkError(Exception):
    """The station has no such core link."""


@dataclass(slots=True)
class _Cell:
    """A cell; ``closing`` while it is shutting down and has users left."""

    configured: ConfiguredCell
    since: float
    closing: bool
    service: Service


@dataclass(slots=True)
class _Link:
    """A core link; ``carried`` is the part of the addresses at its far end that its packets reach, from 0 to 1."""

    configured: ConfiguredLink
    since: float
    carried: float


@dataclass(frozen=True, slots=True)
class CellStatus:
    """The state of a cell at a moment."""

    configured: ConfiguredCell
    on_air: bool
    service: Service


@dataclass(frozen=True, slots=True)
class UserPath:
    """The part of a tenant's user packets that a core link carries, from 0 to 1."""

    link: ConfiguredLink
    part: float


@dataclass(frozen=True, slots=True)
class CorePaths:
    """The paths from a station to the tenants' cores at a moment.

    Attributes:
        signalling: Technologies and tenants whose users can attach.
        users: The links of the user plane.
        stations: Whether other stations are reached, over X2.
    """

    signalling: frozenset[tuple[str, str]] = frozenset()
    users: tuple[UserPath, ...] = ()
    stations: bool = False

    def attaches(self, technology: str, tenant: str) -> bool:
        """Whether users of a tenant can attach."""
        return (technology, tenant) in self.signalling

    def ends_at_gnb(self, tenant: str) -> bool:
        """Whether a tenant's LTE user plane ends at the gNB too (S1-U of EN-DC, options 3a and 3x)."""
        return any(
            path.link.tenant == tenant and path.link.technology == "NR" and path.link.name.startswith("EP_S1U=")
            for path in self.users
        )

    def carried(self, technology: str, tenant: str, slice_: str) -> float:
        """The part of a tenant's user traffic that gets through: sessions are spread evenly over its links."""
        parts = [
            path.part
            for path in self.users
            if (path.link.technology, path.link.tenant) == (technology, tenant) and path.link.carries(slice_)
        ]
        return sum(parts) / len(parts) if parts else 0.0


@dataclass(frozen=True, slots=True)
class CentralUnitState:
    """The configuration of a DU's central unit, as far as the DU reaches it.

    Attributes:
        control: Configuration of its control plane; None if it can't be reached.
        cells: Paths of the cells' halves (NRCellCU) in it, by local id.
        users: Configurations of its user planes.
    """

    control: Config | None = None
    cells: Mapping[str, Path] = field(default_factory=dict)
    users: tuple[Config, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationEffects:
    """Effects of a new configuration: links cured (by name), cells unlocked, cells that began to shut down."""

    cured: tuple[str, ...]
    unlocked: tuple[ConfiguredCell, ...]
    closing: tuple[ConfiguredCell, ...]


class CentralUnitLink(Protocol):
    """The central unit of a DU, if it is another endpoint."""

    def serves(self, cell: ConfiguredCell) -> bool:
        """Whether it serves a cell of the DU."""

    def paths(self) -> CorePaths:
        """The paths over it to the cores."""

    def configuration(self) -> CentralUnitState:
        """Its configuration."""


class RadioHost(Protocol):
    """What a radio needs of its station."""

    central: CentralUnitLink | None

    def alarm_changed(self, alarm: Alarm, raised: bool) -> None:
        """An alarm was raised or cleared."""

    def service_of(self, cell: ConfiguredCell) -> Service:
        """A cell's service under its faults."""

    def usage_of(self, cell: ConfiguredCell) -> str:
        """IDLE, ACTIVE or BUSY (X.731) for a cell on air."""

    def carries(self, link: ConfiguredLink) -> float:
        """The part of the addresses at the far end of a link that packets reach, from 0 to 1."""

    def reaches_stations(self) -> bool:
        """Whether packets reach other stations."""

    def radio_changed(self) -> None:
        """Cells or links may have changed their state."""


class Radio:
    """The radio of one station.

    Attributes:
        connected: Whether the station reaches the core networks at all; call ``refresh`` after setting it.
    """

    __slots__ = (
        *("_alarms", "_broken", "_cells", "_clock", "_config", "_cores", "_links", "_powered", "_record"),
        *("_settle_seconds", "_owner", "_reaches_stations", "_state", "_timer", "connected"),
    )

    def __init__(
        self, record: StationRecord, cores: tuple[Core, ...], clock: Clock, settle_seconds: float, owner: RadioHost
    ) -> None:
        self._record = record
        self._cores = cores
        self._clock = clock
        self._settle_seconds = settle_seconds
        self._owner = owner
        self._config: Config | None = None
        self._cells: dict[Path, _Cell] = {}
        self._links: dict[Path, _Link] = {}
        # Broken links, and whether deleting and creating them again helps.
        self._broken: dict[Path, bool] = {}
        self._alarms: dict[Path, Alarm] = {}
        self._timer: Timer | None = None
        self._state: State | None = None
        self._powered = True
        self._reaches_stations = True
        self.connected = True

    # -------------------------------------------------------- what happens

    def follow(self, config: Config, stages: Iterable[Config] = ()) -> ConfigurationEffects:
        """Apply a new running configuration.

        A broken link is cured by deleting its end point and creating it again, in one commit or in two:
        ``stages`` are the candidates on the way to this configuration.
        """
        self._config = config
        now = self._clock.monotonic()
        cured = self._cure_recreated([*stages, config])
        cells, links = {}, {}
        unlocked, closing = [], []
        for configured in cells_of(config):
            known = self._cells.get(configured.path)
            cell = cells[configured.path] = self._next(configured, known, now)
            if known is not None and configured.unlocked and not known.configured.unlocked:
                unlocked.append(configured)
            if cell.closing and known is not None and not known.closing:
                closing.append(configured)
        for link in links_of(config, self._record, self._cores):
            old = self._links.get(link.path)
            same = old is not None and old.configured == link and link.name not in cured
            links[link.path] = _Link(link, old.since if old is not None and same else now, self._owner.carries(link))
        self._cells, self._links = cells, links
        self._reaches_stations = self._owner.reaches_stations()
        self._settle_later()
        return ConfigurationEffects(cured, tuple(unlocked), tuple(closing))

    def _next(self, configured: ConfiguredCell, known: _Cell | None, now: float) -> _Cell:
        service = self._owner.service_of(configured)
        if known is None:
            return _Cell(configured, now, False, service)
        closing = configured.administrative == "SHUTTINGDOWN" and (known.closing or self._on_air(known))
        stays = configured.carrier == known.configured.carrier and (configured.should_serve or closing) == (
            known.configured.should_serve or known.closing
        )
        return _Cell(configured, known.since if stays else now, closing, service)

    def _cure_recreated(self, stages: list[Config]) -> tuple[str, ...]:
        if not self._broken:
            return ()
        curable = [path for path, helps in self._broken.items() if helps]
        gone = {path for path in curable for stage in stages if stage.get(path[:-1]) is None}
        for path in gone:
            del self._broken[path]
        return tuple(sorted(self._links[path].configured.name for path in gone if path in self._links))

    def break_link(self, wanted: str, *, curable: bool = True) -> tuple[str, ...]:
        """Break the core links of a tenant, or the one with this end point id; return their names.

        Raises:
            UnknownLinkError: no configured link fits.
        """
        paths = self._find(wanted)
        self._broken |= dict.fromkeys(paths, curable)
        self._update()
        return tuple(self._links[path].configured.name for path in paths)

    def restore_link(self, wanted: str) -> tuple[str, ...]:
        """Clear the fault of links; return the names of those that were broken.

        Raises:
            UnknownLinkError: no configured link fits.
        """
        return self.cure([self._links[path].configured.name for path in self._find(wanted)])

    def cure(self, names: Collection[str]) -> tuple[str, ...]:
        """Clear the fault of links by name; return the names of those that were broken."""
        cured = [path for path in self._broken if _link_name(path) in names]
        for path in cured:
            del self._broken[path]
            if path in self._links:
                self._links[path].since = self._clock.monotonic()
        self._settle_later()
        return tuple(_link_name(path) for path in cured)

    def _find(self, wanted: str) -> list[Path]:
        paths = [path for path, link in self._links.items() if wanted in (link.configured.id, link.configured.tenant)]
        if not paths:
            raise UnknownLinkError(f"{self._record.id} has no core link of tenant or end point {wanted}")
        return paths

    def power(self, on: bool) -> None:
        """Lose power, or get it back; everything settles again then."""
        self._powered = on
        self._begin_anew(self._cells.values())
        self._begin_anew(self._links.values())
        self._settle_later()

    def reset(self, cells: Iterable[ConfiguredCell]) -> None:
        """Let some cells come on air again, as after a restart of their radio unit."""
        self._begin_anew(self._cells[cell.path] for cell in cells if cell.path in self._cells)
        self._settle_later()

    def refresh(self) -> None:
        """Apply the present faults, supervision and path to the core."""
        now = self._clock.monotonic()
        for cell in self._cells.values():
            before, cell.service = cell.service, self._owner.service_of(cell.configured)
            if before is Service.OFF and cell.service is not Service.OFF:
                cell.since = now
        self._settle_later()

    def path_changed(self) -> None:
        """Apply the present paths to the cores; restored links take a moment to settle."""
        reaches = self._owner.reaches_stations()
        changed, self._reaches_stations = reaches is not self._reaches_stations, reaches
        for link in self._links.values():
            carried = self._owner.carries(link.configured)
            if carried != link.carried:
                changed, link.carried = True, carried
                link.since = self._clock.monotonic() if carried == 1 else link.since
        if changed:
            self._settle_later()

    def _begin_anew(self, settling: Iterable[_Cell | _Link]) -> None:
        now = self._clock.monotonic()
        for one in settling:
            one.since = now

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
        if self._powered:
            self._update_alarms()
        self._owner.radio_changed()

    def _update_alarms(self) -> None:
        for path in [path for path in self._alarms if not self._suffers(path)]:
            self._owner.alarm_changed(self._alarms.pop(path), False)
        for path, link in self._links.items():
            if path not in self._alarms and self._link_overdue(path, link):
                self._raise(path, self._link_alarm(link.configured))
        for path, cell in self._cells.items():
            if path not in self._alarms and self._suffers(path):
                self._raise(path, self._cell_alarm(cell.configured))

    def _raise(self, path: Path, alarm: Alarm) -> None:
        self._alarms[path] = alarm
        self._owner.alarm_changed(alarm, True)

    def _settled(self, since: float) -> bool:
        return self._clock.monotonic() - since >= self._settle_seconds - _EPSILON

    def _on_air(self, cell: _Cell) -> bool:
        able = self._powered and cell.service is not Service.OFF
        return able and (cell.configured.should_serve or cell.closing) and self._settled(cell.since)

    def _link_up(self, path: Path, link: _Link) -> bool:
        return self._link_carries(path, link) == 1

    def _link_carries(self, path: Path, link: _Link) -> float:
        able = self._powered and self.connected and path not in self._broken
        right = link.configured.unlocked and link.configured.matches_core
        return link.carried if able and right and self._settled(link.since) else 0.0

    def _suffers(self, path: Path) -> bool:
        """Whether a link that should be up is down, or an unlocked cell is disabled."""
        cell = self._cells.get(path)
        if cell is not None:
            return cell.configured.unlocked and cell.service is Service.OFF
        link = self._links.get(path)
        return link is not None and link.configured.unlocked and not self._link_up(path, link)

    def _link_overdue(self, path: Path, link: _Link) -> bool:
        broken = path in self._broken or not self.connected or (link.configured.matches_core and link.carried < 1)
        return self._suffers(path) and (broken or self._settled(link.since))

    def _link_alarm(self, link: ConfiguredLink) -> Alarm:
        if link.user_plane:
            text = f"no answer over GTP-U from some of {', '.join(link.far) or 'nowhere'}"
            return Alarm.of(USER_PLANE_ALARM, link.name, (link.distinguished_name,), self._clock.now(), text)
        text = f"core link to {link.remote or 'nowhere'} is down"
        return Alarm.of(LINK_ALARM, link.name, (link.distinguished_name,), self._clock.now(), text)

    def _cell_alarm(self, cell: ConfiguredCell) -> Alarm:
        return Alarm.of(CELL_ALARM, cell.name, (cell.distinguished_name,), self._clock.now())

    # --------------------------------------------------------------- state

    @property
    def cells(self) -> Iterator[CellStatus]:
        """The present state of each cell."""
        return (CellStatus(cell.configured, self._on_air(cell), cell.service) for cell in self._cells.values())

    @property
    def links(self) -> Iterator[ConfiguredLink]:
        """Its core links, as they are configured."""
        return (link.configured for link in self._links.values())

    @property
    def paths(self) -> CorePaths:
        """The present paths to the cores."""
        up = [(link.configured, self._link_carries(path, link)) for path, link in self._links.items()]
        own = CorePaths(stations=self.connected and self._reaches_stations)
        above = own if self._owner.central is None else self._owner.central.paths()
        signalling = {(link.technology, link.tenant) for link, part in up if part == 1 and not link.user_plane}
        users = (UserPath(link, part) for link, part in up if link.user_plane)
        return CorePaths(above.signalling | signalling, (*users, *above.users), above.stations)

    @property
    def tenants_linked(self) -> frozenset[str]:
        """Tenants to whose core a link is configured."""
        return frozenset(link.configured.tenant for link in self._links.values())

    @property
    def links_broken(self) -> frozenset[str]:
        """Names of the links that a fault broke."""
        return frozenset(map(_link_name, self._broken))

    @property
    def powered(self) -> bool:
        """Whether it has power and runs."""
        return self._powered

    def state(self) -> State:
        """The state below the configuration, as ``<get>`` shows it."""
        assert self._config is not None
        if self._state is None:
            values: dict[Path, str | list[str]] = {}
            for path, cell in self._cells.items():
                able = self._powered and cell.service is not Service.OFF
                values[*path, "operationalState"] = "ENABLED" if able else "DISABLED"
                values[*path, "cellState"] = self._cell_state(cell)
                values[*path, "usageState"] = self._owner.usage_of(cell.configured) if self._on_air(cell) else "IDLE"
                if cell.service in _AVAILABILITY:
                    values[*path, "availabilityStatus"] = [_AVAILABILITY[cell.service]]
            for path, link in self._links.items():
                values[*path, "operationalState"] = "ENABLED" if self._link_up(path, link) else "DISABLED"
            self._state = State.of(self._config.schema, values)
        return self._state

    def forget_state(self) -> None:
        """Compute the state again when it is asked for."""
        self._state = None

    def _cell_state(self, cell: _Cell) -> str:
        if self._on_air(cell):
            return "ACTIVE"
        return "INACTIVE" if cell.configured.unlocked else "IDLE"

    def summary(self) -> dict[str, int]:
        """How many cells and core links there are, and how many of them work."""
        return {
            "cells": len(self._cells),
            "cells_on_air": sum(self._on_air(cell) for cell in self._cells.values()),
            "links": len(self._links),
            "links_up": sum(self._link_up(path, link) for path, link in self._links.items()),
        }


_AVAILABILITY = {Service.OFF: "FAILED", Service.DEGRADED: "DEGRADED"}


def _link_name(path: Path) -> str:
    return f"{path[-2][0]}={path[-2][1]}"
