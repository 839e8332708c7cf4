"""Performance counters of cells and slices (TS 28.552, TS 32.425) from what happened and the traffic model.

Nothing is counted as it happens: a timeline keeps what changed, and the counters of a period follow from
it whenever somebody asks. A value is a sum over the period, or a mean weighted with time. Users come and go by
the quarter of an hour, so that shorter periods add up to longer ones.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain

from simulators.clock import Clock
from simulators.datastore import Config
from simulators.equipment import bearers, traffic
from simulators.equipment.configuration import ConfiguredCell, distinguished_name
from simulators.equipment.fault_kinds import Service
from simulators.equipment.radio import CellStatus, CentralUnitState, Radio
from simulators.equipment.traffic import Epoch, Flow, Load, Place, demand_of, load_of, plmns_in_order
from simulators.network import StationRecord, Surroundings

#: Seconds of a granularity period unless a job wants another.
PERIOD = 900
#: Tolerance of times in seconds.
_EPSILON = 1e-3
#: Epochs kept: enough for a day of a station to which something happens every ten minutes.
KEPT = 150
#: Causes of connections and their parts (TS 36.331, TS 38.331).
CAUSES: Mapping[str, float] = {"mo-Signalling": 0.2, "mo-Data": 0.55, "mt-Access": 0.25}
#: Part of the connections that succeed when all is well.
SUCCESS = 0.995
_PRBS = {5: 11, 10: 24, 15: 38, 20: 51, 25: 65, 30: 78, 40: 106, 50: 133, 60: 162, 70: 189, 80: 217, 90: 245, 100: 273}
#: Throughputs and delays, which are means over the time on air.
_ON_AIR = ("DRB.UEThp", "DRB.IPThp", "minka-DRB.IPThp", "DRB.IpLate", "DRB.AirIfDelay")
#: Delay of a packet on an empty carrier in ms, and what it is for each QCI by its priority.
_DELAYS: Mapping[str, float] = {"LTE": 8.0, "NR": 3.0}
_URGENCY: Mapping[int, float] = {1: 0.7, 5: 0.6, 8: 1.0, 9: 1.2}
#: Factors on the delay of packets: with more retransmissions, and for a tenant without resources.
_RESENT, _QUEUED = 1.5, 4.0
#: The QCI of the default bearer, and those of bearers that may be added to it.
_DEFAULT, _ADDED = 9, (1, 8)
#: The only cause of handovers (TS 36.413).
_HANDOVER_CAUSE = "handover-desirable-for-radio-reason"
#: Seconds off air: of LTE (TS 32.425), and of NR, for which TS 28.552 has none: a vendor's extension.
_UNAVAILABLE, _NR_UNAVAILABLE = "RRU.CellUnavailableTime", "minka-CellUnavailableTime"

#: Measured object → counter → value.
Values = dict[str, dict[str, float]]
#: PLMN, slice and QCI → bearers.
Lost = Mapping[tuple[str, str, int], float]


class Timeline:
    """The epochs of one station, the latest of them."""

    __slots__ = ("_epochs",)

    def __init__(self, kept: int = KEPT) -> None:
        self._epochs: deque[Epoch] = deque(maxlen=kept)

    def note(self, epoch: Epoch) -> None:
        """Add an epoch unless nothing changed; one that lasted no time is replaced."""
        last = self._epochs[-1] if self._epochs else None
        if last is not None and replace(last, since=epoch.since) == epoch:
            return
        if last is not None and last.since >= epoch.since:
            self._epochs.pop()
        self._epochs.append(epoch)

    def between(self, begin: float, end: float) -> Iterator[tuple[Epoch, Epoch | None, float]]:
        """Each epoch that overlaps a span of time, the one before it if that ends there, and the seconds of overlap."""
        epochs = list(self._epochs)
        ends = [*(epoch.since for epoch in epochs), end][1:]
        before = None
        for epoch, until in zip(epochs, ends, strict=True):
            seconds = min(until, end) - max(epoch.since, begin)
            if seconds > 0:
                yield epoch, before if epoch.since >= begin else None, seconds
            before = epoch

    def __iter__(self) -> Iterator[Epoch]:
        """The epochs, oldest first."""
        return iter(tuple(self._epochs))

    @property
    def full(self) -> bool:
        """Whether the oldest epochs may have been dropped."""
        return len(self._epochs) == self._epochs.maxlen

    @property
    def last(self) -> Epoch | None:
        """The present epoch."""
        return self._epochs[-1] if self._epochs else None

    def demand(self, place: Place, tenants: Mapping[str, str], cell: str, local: datetime) -> Load | None:
        """The present demand on a cell, for its state; None without such a cell."""
        epoch = self._epochs[-1] if self._epochs else None
        for status in () if epoch is None else epoch.cells:
            if epoch is not None and status.configured.id == cell:
                return demand_of(epoch, status, place, tenants, local)
        return None


@dataclass(frozen=True, slots=True)
class Period:
    """The counters of one period; ``suspect`` if the station did not run all the time."""

    begin: datetime
    end: datetime
    values: Values
    suspect: bool


#: Users below which a cell counts as idle.
_NOBODY = 0.5
#: The timeline of a station without cells.
_EMPTY = Timeline()


class Performance:
    """The performance counters of a station; costs nothing until it has a cell.

    Attributes:
        below: The DUs of a control plane, which counts the central halves of their cells.
        carried: The DUs of a user plane, which counts the packets that it carries for them.
        by_position: Whether volumes on LTE name PLMNs by their positions in the cell's list (TS 32.425 §4.4.7).
    """

    __slots__ = ("_around", "_clock", "_kept", "_radio", "_record", "_timeline", "below", "by_position", "carried")

    def __init__(
        self, record: StationRecord, around: Surroundings, clock: Clock, radio: Radio, kept: int = KEPT
    ) -> None:
        self._kept = kept
        self._record = record
        self._around = around
        self._clock = clock
        self._radio = radio
        self._timeline: Timeline | None = None
        self.below: tuple[Performance, ...] = ()
        self.carried: tuple[Performance, ...] = ()
        self.by_position = False

    def note(self, config: Config, version: str = "", above: CentralUnitState | None = None) -> None:
        """Begin a new epoch with the present state."""
        cells = tuple(self._radio.cells)
        if self._timeline is None:
            if not cells and not self.below and not self.carried:
                return
            self._timeline = Timeline(self._kept)
        now = self._clock.monotonic()
        self._timeline.note(Epoch(now, config, cells, self._radio.paths, self._radio.powered, version, above))

    def epochs(self) -> list[tuple[datetime, Epoch]]:
        """The remembered epochs, each with its beginning."""
        now, moment = self._clock.now(), self._clock.monotonic()
        return [(now - timedelta(seconds=moment - epoch.since), epoch) for epoch in self._timeline or _EMPTY]

    @property
    def forgets(self) -> bool:
        """Whether it may have forgotten earlier epochs."""
        return self._timeline is not None and self._timeline.full

    @property
    def tenants(self) -> Mapping[str, str]:
        """The tenant of each PLMN."""
        return self._around.tenants

    def _place(self, cells: int) -> Place:
        around, record = self._around, self._record
        return Place(around.seed, record.id, record.population, cells, around.plmns)

    def period_begin(self, seconds: int = PERIOD) -> datetime:
        """When the present period began; periods are aligned to the hour."""
        now = self._clock.now().timestamp()
        return datetime.fromtimestamp(now - now % seconds, UTC)

    def _local(self) -> datetime:
        return self.period_begin().astimezone(self._around.timezone)

    def users(self, cell: ConfiguredCell) -> float:
        """Users in a cell now."""
        demand = self._demand(cell)
        return 0.0 if demand is None else demand.users

    def usage(self, cell: ConfiguredCell) -> str:
        """IDLE, ACTIVE or BUSY (X.731)."""
        demand = self._demand(cell)
        if demand is None or demand.users < _NOBODY:
            return "IDLE"
        return "BUSY" if demand.wanted >= 100.0 else "ACTIVE"

    def reaches(self, local: datetime) -> dict[tuple[str, str], float]:
        """What of the demand of a local time reaches the cores now, in percent of the carrier, by cell and tenant.

        Nothing else of that time counts, so that two moments can be compared.
        """
        found: dict[tuple[str, str], float] = {}
        last = (self._timeline or _EMPTY).last
        if last is None:
            return found
        place = self._place(len(last.cells))
        for status in last.cells:
            load = demand_of(last, status, place, self._around.tenants, local)
            for flow in load.flows:
                key = status.configured.id, self._around.tenants.get(flow.plmn, "")
                found[key] = found.get(key, 0.0) + flow.wanted
        return found

    def _demand(self, cell: ConfiguredCell) -> Load | None:
        timeline = self._timeline or _EMPTY
        cells = 0 if timeline.last is None else len(timeline.last.cells)
        return timeline.demand(self._place(cells), self._around.tenants, cell.id, self._local())

    def measure(self, seconds: int = PERIOD, end: datetime | None = None) -> Period:
        """The counters of the period that ends then; of the latest that ended if no end is named."""
        begin = (end or self.period_begin(seconds)) - timedelta(seconds=seconds)
        end = begin + timedelta(seconds=seconds)
        return self.counted(begin, end, [(begin, end)])

    def counted(self, begin: datetime, end: datetime, spans: Sequence[tuple[datetime, datetime]]) -> Period:
        """The counters of a period by a clock that may be wrong; ``spans`` is when it really was."""
        seconds = int((end - begin).total_seconds())
        totals: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        on_air: defaultdict[str, float] = defaultdict(float)
        running = 0.0
        for quarter, epoch, before, part in chain.from_iterable(self.parts(*span) for span in spans):
            running += part if epoch.powered else 0.0
            for status in epoch.cells:
                for name, counters in self._of_cell(epoch, before, status, part, seconds, quarter).items():
                    on_air[name] += part if status.on_air else 0.0
                    _add(totals[name], counters)
        for name, counters in chain.from_iterable(du.halves(self._record.id, spans, seconds) for du in self.below):
            _add(totals[name], counters)
        for name, counters in chain.from_iterable(du.packets(self._record.id, spans) for du in self.carried):
            _add(totals[name], counters)
        values = {name: _finished(counters, on_air[name]) for name, counters in totals.items()}
        return Period(begin, end, values, abs(running - seconds) > _EPSILON)

    def halves(
        self, unit: str, spans: Sequence[tuple[datetime, datetime]], seconds: int
    ) -> Iterator[tuple[str, dict[str, float]]]:
        """What the control plane of a DU counts of its cells, while the DU reaches that."""
        for quarter, epoch, before, part in chain.from_iterable(self.parts(*span) for span in spans):
            for status in epoch.cells:
                half = epoch.central(status.configured)
                if half is not None and half[1][0] == ("ManagedElement", unit):
                    load = self.load(epoch, status, quarter)
                    counters = self._central(load, epoch, before, status, part, seconds, quarter)
                    yield distinguished_name(half[1]), counters

    def packets(self, unit: str, spans: Sequence[tuple[datetime, datetime]]) -> Iterator[tuple[str, dict[str, float]]]:
        """What a user plane counts of the packets that it carries for a DU, not by cell (TS 28.552 §5.1.3.6.2)."""
        for quarter, epoch, _, part in chain.from_iterable(self.parts(*span) for span in spans):
            for status in epoch.cells if epoch.above is not None else ():
                load = self.load(epoch, status, quarter)
                for flow in load.flows:
                    ways = epoch.carriers(flow)
                    for path in (path for path in ways if path[0] == ("ManagedElement", unit)):
                        yield distinguished_name(path), dict(_packets(flow, load, part / len(ways)))

    def parts(self, begin: datetime, end: datetime) -> Iterator[tuple[datetime, Epoch, Epoch | None, float]]:
        """The parts of a span in which nothing changed: the quarter of an hour, and as of ``Timeline.between``."""
        offset = self._clock.monotonic() - (self._clock.now() - begin).total_seconds()
        while begin < end:
            stamp = begin.timestamp()
            quarter = datetime.fromtimestamp(stamp - stamp % PERIOD, UTC)
            seconds = (min(quarter + timedelta(seconds=PERIOD), end) - begin).total_seconds()
            for epoch, before, part in (self._timeline or _EMPTY).between(offset, offset + seconds):
                yield quarter, epoch, before, part
            begin, offset = begin + timedelta(seconds=seconds), offset + seconds

    def load(self, epoch: Epoch, status: CellStatus, begin: datetime) -> Load:
        """The load of a cell in a quarter of an hour, for an epoch."""
        local, place = begin.astimezone(self._around.timezone), self._place(len(epoch.cells))
        return load_of(epoch, status, place, self._around.tenants, local)

    def _taken_down(self, before: Epoch, epoch: Epoch, status: CellStatus, begin: datetime) -> Lost:
        """The bearers that were lost because a cell failed, or the way to a core, as an epoch began."""
        path = status.configured.path
        old = next((one for one in before.cells if one.configured.path == path and one.on_air), None)
        failed = not status.on_air and off_air_by(status, powered=epoch.powered) == "fault"
        if old is None or not epoch.powered or not (failed or status.on_air):
            return {}
        left = [] if failed else [flow for flow in self.load(epoch, status, begin).flows if flow.connected]
        attached = {(flow.plmn, flow.slice) for flow in left}
        return {
            (flow.plmn, flow.slice, qci): count
            for flow in self.load(before, old, begin).flows
            if (flow.plmn, flow.slice) not in attached
            for qci, count in bearers.active(flow)
        }

    def _of_cell(
        self, epoch: Epoch, before: Epoch | None, status: CellStatus, part: float, seconds: int, begin: datetime
    ) -> Values:
        load = self.load(epoch, status, begin)
        name = status.configured.distinguished_name
        lte = status.configured.cell_class != "NRCellDU"
        lost = _unavailable(_UNAVAILABLE if lte else _NR_UNAVAILABLE, status, part, powered=epoch.powered)
        if lte:
            felt = _lte_felt(load, status.service, part) if status.on_air else {}
            calls = self._calls(load, epoch, before, status, part, begin)
            counters = {**_lte(load, part, seconds), **_e_rabs(calls), **felt, **lost}
            return {name: _by_position(counters, plmns_in_order(epoch, status)) if self.by_position else counters}
        felt = _nr_felt(load, status.service, part) if status.on_air else {}
        values = {name: {**_nr_radio(load, part, seconds, on_air=status.on_air), **felt, **lost}}
        path = status.configured.central
        if epoch.above is None and epoch.config.get(path) is not None:
            values[distinguished_name(path)] = self._central(load, epoch, before, status, part, seconds, begin)
        return values

    def _central(
        self,
        load: Load,
        epoch: Epoch,
        before: Epoch | None,
        status: CellStatus,
        part: float,
        seconds: int,
        begin: datetime,
    ) -> dict[str, float]:
        """What is counted of an NR cell where its central half is."""
        calls = self._calls(load, epoch, before, status, part, begin)
        # PDCP of users ends at the user plane: only where that is at the same endpoint there are volumes by cell.
        volume = _nr_volume(load, part) if epoch.above is None else {}
        return {**_nr_central(load, part, seconds), **volume, **_radio_bearers(calls)}

    def _calls(
        self, load: Load, epoch: Epoch, before: Epoch | None, status: CellStatus, part: float, begin: datetime
    ) -> _Calls:
        taken_down = {} if before is None else self._taken_down(before, epoch, status, begin)
        on_air = sum(one.on_air for one in epoch.cells)
        return _Calls(
            [
                (flow, qci, found, taken_down.get((flow.plmn, flow.slice, qci), 0.0))
                for flow in load.flows
                for qci, found in bearers.bearers(flow, status.service, part)
            ],
            bearers.handovers(sum(f.users for f in load.flows if f.connected), on_air, status.service, part),
        )


def _add(total: defaultdict[str, float], counters: Mapping[str, float]) -> None:
    for name, value in counters.items():
        total[name] = max(total[name], value) if name.endswith("Max") else total[name] + value


def _finished(counters: Mapping[str, float], on_air: float) -> dict[str, float]:
    """Throughput and delay are means over the time on air. Short periods have fractions of an attempt, which count."""
    return {
        name: round(value / on_air if name.startswith(_ON_AIR) and on_air else value, 6)
        for name, value in sorted(counters.items())
    }


def off_air_by(status: CellStatus, *, powered: bool) -> str:
    """Why a cell is off air: ``fault``, or ``manual`` for acts of people."""
    fault = not powered or (status.configured.unlocked and status.service is Service.OFF)
    return "fault" if fault else "manual"


def _unavailable(name: str, status: CellStatus, part: float, *, powered: bool) -> dict[str, float]:
    counters = {f"{name}.{cause}": 0.0 for cause in ("manual", "fault", "energySaving")}
    if not status.on_air:
        counters[f"{name}.{off_air_by(status, powered=powered)}"] = part
    return counters


def _connections(load: Load, part: float, seconds: int) -> dict[str, float]:
    """Connections between phones and the station, which work without a core too."""
    attempts = load.users * traffic.ATTEMPTS * part / 3600
    refused = sum(flow.refused for flow in load.flows) * traffic.ATTEMPTS * part / 3600
    counters = {"RRC.ConnMean": sum(flow.users for flow in load.flows if flow.connected) * part / seconds}
    counters["RRC.ConnMax"] = float(round(1.4 * sum(flow.users for flow in load.flows if flow.connected)))
    for cause, share in CAUSES.items():
        counters[f"RRC.ConnEstabAtt.{cause}"] = (attempts + refused) * share
        counters[f"RRC.ConnEstabSucc.{cause}"] = attempts * share * SUCCESS
    return counters


def _signalling(load: Load, part: float) -> tuple[float, float]:
    """Connections through to the core: attempts and successes."""
    hours = part / 3600 * traffic.ATTEMPTS * SUCCESS
    return load.users * hours, sum(f.users for f in load.flows if f.connected) * hours * SUCCESS


def _radio(load: Load, part: float, seconds: int) -> dict[str, float]:
    used = load.used * part / seconds
    return {"RRU.PrbTotDl": used, "RRU.PrbTotUl": used * 0.6}


def volumes(flow: Flow, load: Load, part: float) -> Iterator[tuple[int, float, float]]:
    """Mbit carried down and up by QCI, or by the 5QI of the same number (TS 23.501 §5.7.4)."""
    carried = flow.given / 100 * load.capacity * part
    for qci, share in traffic.QCI_PARTS.items():
        yield qci, carried * share, carried * share * (1.0 if qci == 1 else traffic.UPLINK)


def _lte(load: Load, part: float, seconds: int) -> dict[str, float]:
    attempts, successes = _signalling(load, part)
    counters = {**_connections(load, part, seconds), **_radio(load, part, seconds)}
    counters |= {"S1SIG.ConnEstabAtt": attempts, "S1SIG.ConnEstabSucc": successes}
    # Of the time in which more than half of the PRBs are in use on average, some has none to spare (TS 32.425 §4.5.9).
    counters["RRU.PrbCongestionDl"] = max(2 * load.used - 100, 0.0) * part / seconds
    for flow in load.flows:
        for qci, down, up in volumes(flow, load, part):
            counters[f"DRB.PdcpSduVolumeDl.{flow.plmn}.{qci}"] = down
            counters[f"DRB.PdcpSduVolumeUl.{flow.plmn}.{qci}"] = up
        counters[f"minka-RRU.PrbTotDl.{flow.plmn}"] = flow.given * part / seconds
        asked = flow.users * traffic.ATTEMPTS * SUCCESS * part / 3600
        counters[f"minka-S1SIG.ConnEstabAtt.{flow.plmn}"] = asked
        counters[f"minka-S1SIG.ConnEstabSucc.{flow.plmn}"] = asked * SUCCESS if flow.connected else 0.0
    return counters


def _by_position(counters: Mapping[str, float], plmns: Sequence[str]) -> dict[str, float]:
    """Counters of an LTE cell whose volumes name PLMNs by their positions."""
    volumes = {
        f"DRB.PdcpSduVolume{way}.{plmn}.{qci}": f"DRB.PdcpSduVolume{way}_Plmn{place}Qci{qci}"
        for place, plmn in enumerate(plmns, 1)
        for way in ("Dl", "Ul")
        for qci in traffic.QCI_PARTS
    }
    return {volumes.get(name, name): value for name, value in counters.items()}


@dataclass(frozen=True, slots=True)
class _Calls:
    """What became of the bearers of each flow and QCI, those lost at once by an outage last; and the handovers."""

    each: list[tuple[Flow, int, bearers.Bearers, float]]
    handovers: bearers.Handovers


def _e_rabs(calls: _Calls) -> dict[str, float]:
    """E-RABs (TS 32.425 §4.2) by QCI, with a vendor's counters by PLMN, and handovers (§4.3.1)."""
    counters: defaultdict[str, float] = defaultdict(float)
    for flow, qci, found, at_once in calls.each:
        values = {
            **dict(zip(("EstabInitAttNbr", "EstabInitSuccNbr"), found.initial, strict=True)),
            **dict(zip(("EstabAddAttNbr", "EstabAddSuccNbr"), found.added if qci in _ADDED else (), strict=False)),
            "RelActNbr": found.lost + at_once,
            "SessionTimeQCI": found.seconds,
        }
        for name, value in values.items():
            counters[f"ERAB.{name}.{qci}"] += value
            counters[f"minka-ERAB.{name}.{flow.plmn}.{qci}"] += value
        counters["ERAB.SessionTimeUE"] += found.seconds if qci == _DEFAULT else 0.0
    moves = calls.handovers
    counters["HO.InterEnbOutPrepAtt"] = moves.out[0]
    for where, (tried, succeeded) in (("IntraEnb", moves.within), ("InterEnb", moves.out)):
        counters[f"HO.{where}OutAtt.{_HANDOVER_CAUSE}"] = tried
        counters[f"HO.{where}OutSucc.{_HANDOVER_CAUSE}"] = succeeded
    return counters


def _radio_bearers(calls: _Calls) -> dict[str, float]:
    """Data radio bearers and QoS flows by 5QI and S-NSSAI (TS 28.552 §5.1.1.10, §5.1.1.13), handovers (§5.1.1.6)."""
    counters: defaultdict[str, float] = defaultdict(float)
    for flow, qci, found, at_once in calls.each:
        values = {
            "EstabAtt": found.initial[0] + found.added[0],
            "EstabSucc": found.initial[1] + found.added[1],
            "RelActNbr": found.lost + at_once,
            "SessionTime": found.seconds,
        }
        for name, value in values.items():
            counters[f"DRB.{name}.{qci}"] += value
            counters[f"DRB.{name}.{flow.slice}"] += value
        counters[f"QF.RelActNbr.{qci}"] += found.lost + at_once
        counters[f"QF.SessionTimeQoS.{qci}"] += found.seconds
        counters["QF.SessionTimeUE"] += found.seconds if qci == _DEFAULT else 0.0
    moves = calls.handovers
    for where, (tried, succeeded) in (("Intra", moves.within), ("Inter", moves.out)):
        counters[f"MM.HoExe{where}Req"] = tried
        counters[f"MM.HoExe{where}Succ"] = succeeded
    return counters


#: What a user can send, as a part of what it gets.
_WAYS = (("Dl", 1.0), ("Ul", 0.2))


def _lte_felt(load: Load, service: Service, part: float) -> dict[str, float]:
    """What users get: IP throughput in kbit/s and latency in ms (TS 32.425 §4.4.5, §4.4.6), a vendor's by PLMN."""
    counters: dict[str, float] = {}
    for way, of in _WAYS:
        for plmn, speed in _speeds(load, lambda flow: flow.plmn):
            names = [f"minka-DRB.IPThp{way}.{plmn}"] if plmn else [f"DRB.IPThp{way}.{qci}" for qci in (8, 9)]
            counters |= dict.fromkeys(names, speed * of * part)
    delay = _delay("LTE", load, load.flows, service) * part
    return counters | {f"DRB.IpLateDl.{qci}": delay * urgency for qci, urgency in _URGENCY.items()}


def _nr_felt(load: Load, service: Service, part: float) -> dict[str, float]:
    """The same on NR: throughput in kbit/s, delay on air in tenths of a ms (TS 28.552 §5.1.1.1.1, §5.1.1.3)."""
    counters = {
        f"DRB.UEThp{way}{'.' if name else ''}{name}": speed * of * part
        for way, of in _WAYS
        for name, speed in _speeds(load, lambda flow: flow.slice)
    }
    delay = 10 * _delay("NR", load, load.flows, service) * part
    counters |= {f"DRB.AirIfDelayDl.{qci}": delay * urgency for qci, urgency in _URGENCY.items()}
    for slice_ in {flow.slice: None for flow in load.flows}:
        own = [flow for flow in load.flows if flow.slice == slice_]
        counters[f"DRB.AirIfDelayDl.{slice_}"] = 10 * _delay("NR", load, own, service) * part
    return counters


def _delay(technology: str, load: Load, flows: Sequence[Flow], service: Service) -> float:
    """Mean delay of the packets of some flows, in ms; 0 without flows."""
    wanted = sum(flow.wanted for flow in flows)
    if not wanted:
        return 0.0
    lacking = 1 - sum(flow.given for flow in flows) / wanted
    again = _RESENT if service is Service.DEGRADED else 1.0
    return _DELAYS[technology] * again * (1 + _QUEUED * lacking) / (1 - min(load.used, 95.0) / 100)


def _nr_radio(load: Load, part: float, seconds: int, *, on_air: bool) -> dict[str, float]:
    counters = _radio(load, part, seconds)
    blocks = _PRBS.get(round(load.megahertz), round(load.megahertz * 2.7))
    counters["CARR.MeanTxPwr"] = (20 + load.used * 0.23) * part / seconds if on_air else 0.0
    for way, scale in (("Dl", 1.0), ("Ul", 0.6)):
        counters[f"RRU.PrbAvail{way}"] = blocks * part / seconds
        counters[f"RRU.PrbUsed{way}"] = blocks * load.used * scale / 100 * part / seconds
    counters["DRB.MeanActiveUeUl"] = sum(f.users for f in load.flows if f.connected) * 0.3 * part / seconds
    for flow in load.flows:
        _add_slice(counters, flow.slice, blocks * flow.given / 100 * part / seconds)
        active = flow.users * 0.3 * part / seconds if flow.connected else 0.0
        active_name = f"DRB.MeanActiveUeUl.{flow.slice}"
        counters[active_name] = counters.get(active_name, 0.0) + active
    return counters


def _add_slice(counters: dict[str, float], slice_: str, blocks: float) -> None:
    """Slices of the same S-NSSAI can't be separated (TS 28.552)."""
    for way, scale in (("Dl", 1.0), ("Ul", 0.6)):
        name = f"RRU.PrbUsed{way}.{slice_}"
        counters[name] = counters.get(name, 0.0) + blocks * scale


def _speeds(load: Load, part_of: Callable[[Flow], str]) -> Iterator[tuple[str, float]]:
    """What a user gets while it fetches, in kbit/s: of the cell, then of each part of it; 0 where nobody fetches."""
    speed = load.capacity * 1000 * max(100 - load.used, 2.0) / 100 / 2
    yield "", speed if load.wanted else 0.0
    for name in {part_of(flow): None for flow in load.flows}:
        served = sum(f.given for f in load.flows if part_of(f) == name)
        wanted = sum(f.wanted for f in load.flows if part_of(f) == name)
        yield name, speed * served / wanted if wanted else 0.0


def _nr_volume(load: Load, part: float) -> dict[str, float]:
    """Volume by PLMN, 5QI and S-NSSAI where the gNB is not split (TS 28.552 §5.1.2.1)."""
    counters = {}
    for flow in load.flows:
        for qci, down, up in volumes(flow, load, part):
            counters[f"DRB.PdcpSduVolumeDL.{flow.plmn}.{qci}.{flow.slice}"] = down
            counters[f"DRB.PdcpSduVolumeUL.{flow.plmn}.{qci}.{flow.slice}"] = up
    return counters


def _packets(flow: Flow, load: Load, part: float) -> Iterator[tuple[str, float]]:
    """The same of a user plane with an endpoint of its own, for one flow (§5.1.3.6.2)."""
    for qci, down, up in volumes(flow, load, part):
        yield f"QosFlow.PdcpSduVolumeDL.{flow.plmn}.{qci}.{flow.slice}", down
        yield f"QosFlow.PdcpSduVolumeUL.{flow.plmn}.{qci}.{flow.slice}", up


def _nr_central(load: Load, part: float, seconds: int) -> dict[str, float]:
    """What the CU's control plane counts."""
    counters = _connections(load, part, seconds)
    attempts, successes = _signalling(load, part)
    for cause, share in CAUSES.items():
        counters[f"UECNTX.ConnEstabAtt.{cause}"] = attempts * share
        counters[f"UECNTX.ConnEstabSucc.{cause}"] = successes * share
    for flow in load.flows:
        asked = flow.users * 2 * part / 3600
        for name, value in (("Req", asked), ("Succ", asked * SUCCESS if flow.connected else 0.0)):
            full = f"SM.PDUSessionSetup{name}.{flow.slice}"
            counters[full] = counters.get(full, 0.0) + value
    counters["SM.PDUSessionSetupFail.transport"] = sum(f.users for f in load.flows if not f.connected) * 2 * part / 3600
    return counters
