"""Which functions serve now, and the effect on the stations that they are part of.

A vDU or vBBU is the management endpoint of its stations: they are there while a pod of it is ready, and come from the
factory each time. Address and host key stay. So is a vCU-CP or vCU-UP of the station that stands for it alone; while a
replica of it is left on its pool, that keeps the configuration. If several pods are ready, as in a move from one pool
to another, the one that came first has the address until it is gone. What a station sends to the cores takes a vCU-CP
and a vCU-UP where it names some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulators.cloud.behaviour.images import Registry
from simulators.cloud.behaviour.kubelet import ServedPod
from simulators.connections import Outage
from simulators.fleet.transport import Transport
from simulators.network import FunctionRecord, SimulatedNetwork, StationRecord
from simulators.station import Station

#: Functions that are the endpoint of stations.
_ENDPOINTS = frozenset({"vdu", "vbbu"})
#: Functions without which a plane carries no traffic.
_NEEDED = {"control": frozenset({"vcu-cp"}), "user": frozenset({"vcu-cp", "vcu-up"})}
#: The fault of a station whose node has lost its time source.
_CLOCK_FAULT = "sync-lost"


class Functions:
    """The functions of a network; none of them serves until a pod of it is ready.

    Args:
        network: The functions, and the stations that they are part of.
        registry: Their images.
        transport: The paths to these stations, and from them to the cores.
        stations: The stations that run, by id.
    """

    def __init__(
        self, network: SimulatedNetwork, registry: Registry, transport: Transport, stations: Mapping[str, Station]
    ) -> None:
        self._registry = registry
        self._transport = transport
        self._stations = stations
        self._kinds = {one.id: network.packages[one.package].kind for one in network.functions}
        self._known = {function.id: function for function in network.functions}
        units = {record.functions[0]: (record.id,) for record in network.stations if record.unit}
        self._inside = {
            one.id: one.stations if self._kinds[one.id] in _ENDPOINTS else units.get(one.id, ())
            for one in network.functions
        }
        self._by_name = {function.id.lower(): function for function in network.functions}
        self._serving: dict[str, list[tuple[str, ServedPod]]] = {}
        transport.depend_on(self._served)
        for function in network.functions:
            for station in self._of(function):
                station.terminate()
                transport.take_away(station.id, Outage.REFUSAL)

    def pod_of(self, function: str) -> tuple[str, ServedPod] | None:
        """The pool and pod that serve a function now."""
        return next(iter(self._serving.get(function, ())), None)

    # ---------------------------------------------------------------- for pools

    def ready(self, pool: str, served: ServedPod) -> None:
        """See ``pool.Functions``."""
        function = self._by_name.get(served.name)
        if function is None:
            return
        serving = self._serving.setdefault(function.id, [])
        serving.append((pool, served))
        if len(serving) == 1:
            self._begin(function, pool, served)

    def gone(self, pool: str, served: ServedPod, *, silent: bool) -> None:
        """See ``pool.Functions``."""
        function = self._by_name.get(served.name)
        serving = self._serving.get(function.id, []) if function is not None else []
        if function is None or (pool, served) not in serving:
            return
        had_it = serving[0] == (pool, served)
        serving.remove((pool, served))
        if had_it and not self._kept(function, pool):
            self._end(function, Outage.SILENCE if silent else Outage.REFUSAL)
            if serving:
                self._begin(function, *serving[0])

    def _kept(self, function: FunctionRecord, pool: str) -> bool:
        """Whether another replica of a CU on the same pool keeps its configuration."""
        serving = self._serving[function.id]
        successor = next((one for one in serving if one[0] == pool), None)
        if successor is None or self._kinds[function.id] in _ENDPOINTS:
            return False
        serving.remove(successor)
        serving.insert(0, successor)
        return True

    def clock_lost(self, pool: str, served: ServedPod, *, lost: bool) -> None:
        """See ``pool.Functions``."""
        function = self._by_name.get(served.name)
        if function is None or self.pod_of(function.id) != (pool, served):
            return
        for station in self._of(function) if self._kinds[function.id] in _ENDPOINTS else ():
            if lost:
                station.equipment.begin_fault(_CLOCK_FAULT)
            else:
                station.equipment.faults.take(_CLOCK_FAULT)

    # ------------------------------------------------------------- for stations

    def _begin(self, function: FunctionRecord, pool: str, served: ServedPod) -> None:
        image = self._registry.image(served.image)
        for station in self._of(function):
            station.instantiate("" if image is None else image.package.version)
            self._transport.put_on(pool, station.id)
        self._follow_others(function)

    def _end(self, function: FunctionRecord, outage: Outage) -> None:
        for station in self._of(function):
            self._transport.take_away(station.id, outage)
            station.terminate()
            station.equipment.faults.take(_CLOCK_FAULT)
        self._follow_others(function)

    def _follow_others(self, function: FunctionRecord) -> None:
        if self._kinds[function.id] not in _ENDPOINTS:
            self._transport.follow_stations(function.stations)

    def _of(self, function: FunctionRecord) -> Iterable[Station]:
        """The stations that run and whose endpoint a function is."""
        return [self._stations[name] for name in self._inside[function.id] if name in self._stations]

    def _served(self, station: StationRecord, tenant: str, plane: str) -> bool:
        """Whether a station's functions for a plane serve a tenant: the tenant's own, else the host's."""
        there = [self._known[name] for name in station.functions if name in self._known]
        for kind in _NEEDED[plane]:
            ways = [one for one in there if self._kinds[one.id] == kind]
            own = [one for one in ways if one.owner == tenant] or [one for one in ways if not one.owner]
            if ways and not any(self.pod_of(one.id) for one in own):
                return False
        return True
