"""What happens beside sessions: scenarios, the history of the run, alarms pushed; and stations without a network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TextIO

from simulators.clock import VirtualClock
from simulators.fleet.fleet import Fleet
from simulators.fleet.push import Push, Shape
from simulators.fleet.scenario import Scenario, read_scenario
from simulators.fleet.transport import Transport
from simulators.history import Event, EventListener
from simulators.network import SimulatedNetwork, Surroundings
from simulators.station import Station, StationSettings


def recorder(sink: TextIO) -> EventListener:
    """Writes events as lines of JSON; equal runs in virtual time write equal bytes."""

    def write(station: str, event: Event) -> None:
        line = {"station": station, **event.to_json()}
        sink.write(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")

    return write


class Stage:
    """The stations of a network in virtual time, nobody connected to them."""

    def __init__(
        self,
        network: SimulatedNetwork,
        *,
        seed: str | None = None,
        settings: StationSettings | None = None,
        only: Iterable[str] | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.transport = Transport(network, self.clock, seed=seed or network.id)
        around = Surroundings.of(network, seed, self.transport)
        wanted = None if only is None else frozenset(only)
        self.stations: dict[str, Station] = {
            record.id: Station(record, network.cores, self.clock, settings or StationSettings(), around)
            for record in network.stations
            if wanted is None or record.id in wanted
        }
        self.transport.hang(self.stations)

    def record(self, sink: TextIO) -> None:
        """Write all that happens from now on."""
        write = recorder(sink)
        for station in self.stations.values():
            station.history.listeners = (*station.history.listeners, write)

    def play(self, scenario: Scenario, seconds: float) -> None:
        """Play a scenario for so many simulated seconds."""
        scenario.play(self)
        self.clock.advance(seconds)


class Story:
    """What a fleet plays and tells while it runs.

    Args:
        history: File that takes the history of the run.
        receivers: URL that takes the alarms in a shape, none if nobody does.
        seed: Replaces the seed of the scenario.

    Raises:
        ScenarioError: the scenario can't be played.
    """

    def __init__(
        self,
        fleet: Fleet,
        network: SimulatedNetwork,
        scenario: Path | None,
        history: Path | None,
        receivers: Mapping[Shape, str | None],
        seed: str | None = None,
    ) -> None:
        self._fleet = fleet
        self._scenario = None if scenario is None else read_scenario(scenario, network, seed)
        self._history = history
        self._receivers = {shape: url for shape, url in receivers.items() if url}

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Play and tell while the context is open."""
        async with AsyncExitStack() as stack:
            if self._history is not None:
                sink = stack.enter_context(self._history.open("w", encoding="utf-8", buffering=1))
                self._fleet.listen(events=recorder(sink))
            for shape, url in self._receivers.items():
                push = Push(url, shape, self._fleet.clock)
                await stack.enter_async_context(push.running())
                self._fleet.listen(alarms=push.add)
            if self._scenario is not None:
                self._scenario.play(self._fleet)
            yield
