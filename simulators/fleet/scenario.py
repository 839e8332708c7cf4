"""Scenarios: which faults strike which stations and when, from a YAML file, played on the clock.

    scenario: a bad night
    seed: "42"
    events:
      - {at: "00:10:00", fault: mains-failure, where: {backhaul: fibre-cusco-13}, share: 0.5}
      - {at: 1200, fault: vswr, stations: [PE-CUS-0145], target: ru-1}
      - {at: 3600, clear: vswr, stations: [PE-CUS-0145]}
      - {at: 4000, cut: fibre-cusco-13}
      - {at: 4600, restore: fibre-cusco-13}
      - {at: 5000, fault: file-late, seconds: 1200, count: 2, where: {region: cusco}}
      - {at: 6000, fault: node-lost, pools: [edge-cusco-1], target: node-2}

The same scenario with the same seed on the same network writes the same history in virtual time.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import yaml
from lxml import etree

from simulators.clock import Clock
from simulators.cloud.behaviour.faults import POOL_FAULTS, FaultTarget, UnknownPoolFaultError
from simulators.cloud.behaviour.pool import Pool
from simulators.datastore import RpcError, RpcErrors
from simulators.equipment.faults import UnknownFaultError, fault_kind
from simulators.equipment.file_faults import FileFault, FileFaultKind
from simulators.history import ITSELF, EventKind
from simulators.network import PoolRecord, SimulatedNetwork, StationRecord
from simulators.station import Station

_TOP = frozenset({"scenario", "seed", "events"})
#: Actions of an event; each takes a name or a file.
_ON_STATIONS = ("fault", "clear", "edit", "restart")
#: Actions on a backhaul node and all below it.
_ON_NODES = ("cut", "restore")
#: Actions on pools, beside beginning and clearing faults.
_ON_POOLS = ("upgrade",)
_ACTIONS = (*_ON_STATIONS, *_ON_NODES, *_ON_POOLS)
_EVENT = frozenset({"at", "stations", "pools", "where", "share", "target", "seconds", "count", *_ACTIONS})
#: Faults of measurement files.
_OF_FILES = frozenset(kind.value for kind in FileFaultKind)
_SELECTORS = frozenset({"region", "site", "backhaul", "everywhere"})
_TIME = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})$")


class ScenarioError(Exception):
    """A scenario can't be played; the message names file and line of each problem."""


class Backhaul(Protocol):
    """The backhaul that a scenario cuts and restores."""

    def cut(self, node: str) -> None:
        """Cut the link between a node and the one above it."""

    def restore(self, node: str) -> None:
        """Connect it again."""


class Devices(Protocol):
    """The fleet on which a scenario is played."""

    @property
    def transport(self) -> Backhaul:
        """Their routers and backhaul."""

    @property
    def clock(self) -> Clock:
        """Their clock."""

    @property
    def stations(self) -> Mapping[str, Station]:
        """The stations by id."""

    @property
    def pools(self) -> Mapping[str, Pool]:
        """The pools by id."""


@dataclass(frozen=True, slots=True)
class ScenarioEvent:
    """One entry: after ``at`` seconds, ``action`` with ``name`` on stations or pools; cut and restore have none.

    ``name`` is a fault, the text of an edit, or a backhaul node; ``seconds`` and ``count`` are for faults of files.
    """

    at: float
    action: str
    name: str
    stations: tuple[str, ...]
    target: str
    seconds: float = 0.0
    count: int | None = None
    pools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """The events of a scenario, in order of time."""

    name: str
    seed: str
    events: tuple[ScenarioEvent, ...]

    def play(self, devices: Devices) -> None:
        """Schedule all events on the clock."""
        for number, event in enumerate(self.events):
            devices.clock.call_later(event.at, partial(self._happen, devices, number, event))

    def _happen(self, devices: Devices, number: int, event: ScenarioEvent) -> None:
        if event.action == "cut":
            devices.transport.cut(event.name)
        elif event.action == "restore":
            devices.transport.restore(event.name)
        for station in (devices.stations[name] for name in event.stations if name in devices.stations):
            try:
                _carry_out(station, event, f"{self.seed}/{number}/{station.id}")
            except (UnknownFaultError, RpcError, RpcErrors) as error:
                station.history.record(
                    EventKind.NOT_STRUCK, ITSELF, action=event.action, name=event.name[:80], why=str(error)
                )
        for pool in (devices.pools[name] for name in event.pools if name in devices.pools):
            try:
                _strike(pool, event, f"{self.seed}/{number}/{pool.id}")
            except UnknownPoolFaultError as error:
                pool.history.record(EventKind.NOT_STRUCK, action=event.action, name=event.name, why=str(error))


def _strike(pool: Pool, event: ScenarioEvent, seed: str) -> None:
    if event.action == "upgrade":
        pool.upgrade(event.name)
        return
    if event.action == "fault":
        pool.begin_fault(event.name, event.target, seed)
        return
    for fault in pool.faults:
        if event.name in (fault.kind.name, "all") and event.target in ("", fault.target):
            pool.faults.end(fault)


def _carry_out(station: Station, event: ScenarioEvent, seed: str) -> None:
    files = station.equipment.file_faults
    if event.action == "fault" and event.name in _OF_FILES:
        files.inject(FileFault(FileFaultKind(event.name), count=event.count, seconds=event.seconds))
    elif event.action == "fault":
        station.equipment.begin_fault(event.name, event.target, seed)
    elif event.action == "clear":
        for fault in [fault for fault in station.equipment.faults if event.name in (fault.kind.name, "all")]:
            station.equipment.faults.end(fault)
        for spoilt in [one for one in files if event.name in (one.kind.value, "all")]:
            files.clear(spoilt.id)
    elif event.action == "edit":
        station.datastores.foreign_edit(etree.fromstring(event.name))
    else:
        station.restart()


# ----------------------------------------------------------------------- reading


def read_scenario(path: Path, network: SimulatedNetwork, seed: str | None = None) -> Scenario:
    """Read and check a scenario for a network; ``seed`` replaces the one in the file.

    Raises:
        ScenarioError: the file can't be read, or something in it is wrong.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (derived from the safe one)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    return _Reader(path, network).read(document, seed)


class _Lines(dict[str, Any]):
    """A mapping with the line of each key."""

    line = 0
    lines: Mapping[str, int] = {}


class _Loader(yaml.SafeLoader):
    """The safe loader, with lines."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> _Lines:
    found = _Lines({str(key): value for key, value in loader.construct_mapping(node, deep=True).items()})
    found.line = node.start_mark.line + 1
    found.lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


class _Reader:
    """Reads a scenario, and collects its problems."""

    def __init__(self, path: Path, network: SimulatedNetwork) -> None:
        self._path = path
        self._network = network
        self._known: Mapping[str, Mapping[str, StationRecord | PoolRecord]] = {
            "stations": {station.id: station for station in network.stations},
            "pools": {pool.id: pool for pool in network.pools},
        }
        self._node_of_site = {station.site: station.backhaul for station in network.stations}
        self._problems: list[str] = []

    def read(self, document: Any, seed: str | None) -> Scenario:
        if not isinstance(document, _Lines):
            raise ScenarioError(f"{self._path}:1: a scenario is a mapping with events")
        self._only(document, _TOP)
        chosen = seed or str(document.get("seed", self._network.id))
        entries = document.get("events")
        if not isinstance(entries, list):
            self._wrong(document, "events", "events is a list")
            entries = []
        events = [event for index, entry in enumerate(entries) for event in self._event(entry, f"{chosen}/{index}")]
        if self._problems:
            raise ScenarioError("\n".join(self._problems))
        return Scenario(str(document.get("scenario", self._path.stem)), chosen, tuple(sorted(events, key=_when)))

    def _event(self, entry: Any, seed: str) -> Iterator[ScenarioEvent]:
        if not isinstance(entry, _Lines):
            self._problems.append(f"{self._path}: an event is a mapping, not {entry!r:.40}")
            return
        before = len(self._problems)
        self._only(entry, _EVENT)
        at = self._time(entry)
        action, name = self._action(entry)
        on_pools = "pools" in entry or name in POOL_FAULTS or action in _ON_POOLS
        pools = self._pools(entry, action, name, seed) if on_pools else ()
        stations = () if action in _ON_NODES or on_pools else self._chosen(entry, seed, "stations")
        extent, target = self._extent(entry, name), str(entry.get("target", ""))
        if len(self._problems) == before:
            yield ScenarioEvent(at, action, name, stations, target, *extent, pools)

    def _pools(self, entry: _Lines, action: str, name: str, seed: str) -> tuple[str, ...]:
        faulty = action in ("fault", "clear") and name in {*POOL_FAULTS, "all"}
        if not faulty and action not in _ON_POOLS:
            known = ", ".join(POOL_FAULTS)
            self._wrong(entry, "pools", f"pools are upgraded, and have faults that begin and are cleared: {known}")
        if "stations" in entry:
            what = f"{name} strikes" if action in ("fault", "clear") else f"{action} is for"
            self._wrong(entry, "stations", f"{what} pools: name them with pools, and no stations")
            return ()
        names = self._chosen(entry, seed, "pools")
        if name in POOL_FAULTS and POOL_FAULTS[name].place is FaultTarget.NODE and entry.get("target"):
            for pool in (self._known["pools"].get(one) for one in names):
                if isinstance(pool, PoolRecord):
                    self._check_target(entry, pool)
        return names

    def _check_target(self, entry: _Lines, pool: PoolRecord) -> None:
        target = str(entry["target"])
        if not any(target in (node.id, node.failure_domain) for node in pool.nodes):
            self._wrong(entry, "target", f"pool {pool.id} has no node or failure domain {target}")

    def _time(self, entry: _Lines) -> float:
        value = entry.get("at")
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return float(value)
        found = _TIME.match(value) if isinstance(value, str) else None
        if found is None:
            self._wrong(entry, "at", "at is a number of seconds, or HH:MM:SS in quotes")
            return 0.0
        return int(found[1] or 0) * 3600.0 + int(found[2]) * 60.0 + int(found[3])

    def _action(self, entry: _Lines) -> tuple[str, str]:
        actions = [action for action in _ACTIONS if action in entry]
        if len(actions) != 1:
            self._wrong(entry, actions[-1] if actions else "", f"an event has exactly one of {', '.join(_ACTIONS)}")
            return "", ""
        action, name = actions[0], str(entry[actions[0]])
        if action in ("fault", "clear") and name not in {
            *_OF_FILES,
            *POOL_FAULTS,
            *(("all",) if action == "clear" else ()),
        }:
            try:
                fault_kind(name)
            except UnknownFaultError as error:
                self._wrong(entry, action, str(error))
        if action == "edit":
            name = self._document(entry, name)
        if action in _ON_NODES:
            self._check_node(entry, action, name)
        return action, name

    def _extent(self, entry: _Lines, name: str) -> tuple[float, int | None]:
        """Seconds and count of a fault of files."""
        seconds, count = entry.get("seconds", 0.0), entry.get("count")
        for key in ("seconds", "count"):
            if key in entry and name not in _OF_FILES:
                self._wrong(entry, key, f"{key} is for faults of files only")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            self._wrong(entry, "seconds", "seconds is a number")
            return 0.0, None
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            self._wrong(entry, "count", "count is a number of reporting periods from 1 on")
            return 0.0, None
        fault = FileFault(FileFaultKind(name), count=count, seconds=float(seconds)) if name in _OF_FILES else None
        if fault is not None and (problem := fault.problem) and "fault" in entry:
            self._wrong(entry, "fault", problem)
        return float(seconds), count

    def _check_node(self, entry: _Lines, action: str, node: str) -> None:
        if node not in self._network.parents:
            self._wrong(entry, action, f"network {self._network.id} has no backhaul node {node}")
        for key in ("stations", "where", "share", "target"):
            if key in entry:
                self._wrong(entry, key, f"{action} names a node and nothing else")

    def _document(self, entry: _Lines, name: str) -> str:
        try:
            text = (self._path.parent / name).read_text(encoding="utf-8")
            etree.fromstring(text)
        except (OSError, UnicodeDecodeError, etree.XMLSyntaxError, ValueError) as error:
            self._wrong(entry, "edit", f"{name} is no XML file to read: {error}")
            return ""
        return text

    def _chosen(self, entry: _Lines, seed: str, kind: str) -> tuple[str, ...]:
        """The stations or pools of an event: named, or selected, and of these a share."""
        if (kind in entry) == ("where" in entry):
            self._wrong(entry, "where" if "where" in entry else "", f"an event has either {kind} or where")
            return ()
        names = self._named(entry, kind) if kind in entry else self._selected(entry, kind)
        share = entry.get("share", 1)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            self._wrong(entry, "share", "share is above 0 and at most 1")
            return ()
        count = max(round(share * len(names)), 1)
        chosen = random.Random(seed).sample(names, min(count, len(names)))  # noqa: S311 (replayed on purpose)
        return tuple(sorted(chosen))

    def _named(self, entry: _Lines, kind: str) -> list[str]:
        names = entry[kind]
        names = [str(name) for name in (names if isinstance(names, list) else [names])]
        for name in names:
            if name not in self._known[kind]:
                self._wrong(entry, kind, f"network {self._network.id} has no {kind[:-1]} {name}")
        return names

    def _selected(self, entry: _Lines, kind: str) -> list[str]:
        where = entry["where"]
        if not isinstance(where, _Lines) or len(where) != 1 or not _SELECTORS.issuperset(where):
            self._wrong(entry, "where", f"where has exactly one of {', '.join(sorted(_SELECTORS))}")
            return []
        ((by, value),) = where.items()
        found = [one.id for one in self._known[kind].values() if self._is_there(one, by, str(value))]
        if not found:
            self._wrong(where, by, f"no {kind[:-1]} has {by} {value}")
        return found

    def _is_there(self, record: StationRecord | PoolRecord, by: str, value: str) -> bool:
        if by == "backhaul":
            node = self._node_of_site.get(record.site, "")
            return value in self._network.parents and node in self._network.below(value)
        return by == "everywhere" or getattr(record, by) == value

    def _only(self, mapping: _Lines, allowed: Iterable[str]) -> None:
        for key in mapping:
            if key not in frozenset(allowed):
                self._wrong(mapping, key, f"{key!r} is none of {', '.join(sorted(allowed))}")

    def _wrong(self, mapping: _Lines, key: str, message: str) -> None:
        self._problems.append(f"{self._path}:{mapping.lines.get(key, mapping.line)}: {message}")


def _when(event: ScenarioEvent) -> float:
    return event.at
