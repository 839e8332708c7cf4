"""Rehearses a day in three ways, and prints a comparison."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.inventory.definitions import read_definitions
from controller.inventory.load import load_network
from controller.models.network import Network
from controller.models.settings import Settings
from controller.rehearsal.day import Day, draw_day, smallest_last, sweep
from controller.rehearsal.judge import PlayedDay, judged
from controller.rehearsal.minka import Minka, adopted
from controller.rehearsal.play import BEGINS, DAY_BEGINS, WARM_UP, Stage, begin, earlier, set_up
from controller.rehearsal.script import Script
from controller.rehearsal.truth import Demand, demand_of
from controller.rehearsal.twin import provisioned
from controller.remediation.definitions import check
from controller.store import SqlStore
from simulators.datastore import Config
from simulators.network import SimulatedNetwork, read_network


@dataclass(frozen=True)
class Baseline:
    """The start of all days on a network; made once.

    Attributes:
        configs: What each station carries, after what it carried before its latest change.
        whole: What is wanted of each cell.
        record: Minka's record, with all stations adopted.
    """

    network: Network
    simulated: SimulatedNetwork
    configs: tuple[Mapping[str, Config], Mapping[str, Config]]
    whole: Mapping[str, Demand]
    record: SqlStore
    settings: Settings

    def stage(self) -> Stage:
        """A healthy twin."""
        return set_up(self.simulated, self.configs, self.whole)


def prepare(folder: Path, settings: Settings) -> Baseline:
    """Make the baseline of a network.

    Raises:
        InputError: The network files, or the rules, are wrong: said before anything is played.
    """
    check(read_definitions(settings.rules, settings.playbooks, settings.kpis))
    network, simulated = load_network(folder), read_network(folder)
    now = provisioned(network, simulated, BEGINS.date())
    before = {name: old for name, config in now.items() if (old := earlier(config)) is not config}
    stage = set_up(simulated, (before, now), None)
    whole = demand_of(stage.fleet, stage.local)
    return Baseline(network, simulated, (before, now), whole, adopted(network, stage, settings), settings)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A day played in three ways.

    Attributes:
        seconds: CPU time that each way took.
        memory: Largest memory of the process in MB.
    """

    seed: str
    hours: float
    nothing: PlayedDay
    script: PlayedDay
    minka: PlayedDay
    seconds: tuple[float, float, float]
    memory: float

    @property
    def ways(self) -> tuple[PlayedDay, PlayedDay, PlayedDay]:
        """All three."""
        return self.nothing, self.script, self.minka

    def to_json(self) -> dict[str, Any]:
        """As JSON carries it."""
        return {"seed": self.seed, "hours": self.hours, "ways": [one.to_json() for one in self.ways]}


def rehearse(ground: Baseline, seed: str, hours: float, times: float = 1.0) -> Rehearsal:
    """Draw the day of a seed, and play it in all three ways."""
    return play_three_ways(ground, draw_day(ground.simulated, smallest_last(ground.network), seed, hours, times))


def rehearse_sweep(ground: Baseline, seed: str, hours: float) -> Rehearsal:
    """Play each fault of the twin once for each kind of station, in all three ways."""
    return play_three_ways(ground, sweep(ground.simulated, seed, hours))


def play_three_ways(ground: Baseline, day: Day) -> Rehearsal:
    """Play a day in all three ways; the faults are the same."""
    stages, seconds = [], []
    for play in (_nothing, _script(ground), _minka(ground)):
        began, stage = time.process_time(), ground.stage()
        play(stage, day)
        stages.append(stage)
        seconds.append(time.process_time() - began)
    lost = stages[0].outages.minutes()
    nothing, script, minka = (
        judged(name, stage, day, ground.network, None if stage is stages[0] else lost)
        for name, stage in zip(("nothing", "script", "minka"), stages, strict=True)
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Rehearsal(day.seed, day.hours, nothing, script, minka, (seconds[0], seconds[1], seconds[2]), memory)


_Play = Callable[[Stage, Day], None]


def _nothing(stage: Stage, day: Day) -> None:
    stage.clock.advance(DAY_BEGINS - WARM_UP)
    begin(stage, day)
    stage.clock.advance(day.hours * 3600)


def _script(ground: Baseline) -> _Play:
    return lambda stage, day: Script(stage, ground.network).play(day)


def _minka(ground: Baseline) -> _Play:
    return lambda stage, day: Minka(stage, ground.record, ground.settings).play(day)


# ------------------------------------------------------------------------- printing


def lines_of(rehearsal: Rehearsal, *, wrongs: int = 10) -> Iterator[str]:
    """The comparison for people, 80 columns wide at most."""
    yield f"seed {rehearsal.seed}, {rehearsal.hours:g} h"
    yield _row("", *(one.way for one in rehearsal.ways))
    for what, count in _COUNTS:
        yield _row(what, *(str(count(one)) for one in rehearsal.ways))
    tenants = sorted({tenant for one in rehearsal.ways for tenant in one.minutes})
    for tenant in tenants:
        yield _row(f"minutes lost, {tenant}", *(f"{one.minutes.get(tenant, 0.0):.0f}" for one in rehearsal.ways))
    yield _row("CPU seconds", *(f"{one:.1f}" for one in rehearsal.seconds))
    yield f"{'by Minka':<32}{'incidents':>15}{'curable':>15}{'cured':>15}"
    for kind, counts in sorted(rehearsal.minka.by_kind.items()):
        yield _row(f"  {kind}", *map(str, counts))
    for rule, (good, bad) in sorted(rehearsal.minka.rules.items()):
        yield f"rule {rule}: cured {good}, did not cure {bad}"
    for one in rehearsal.minka.wrong[:wrongs]:
        at = f"{int(one.at // 3600):02}:{int(one.at % 3600 // 60):02}"
        yield f"wrong at {at} {one.station} {one.what}: {'; '.join(one.why)}"[:80]
    if (left := len(rehearsal.minka.wrong) - wrongs) > 0:
        yield f"… and {left} more: --json"


_COUNTS: Sequence[tuple[str, Callable[[PlayedDay], int]]] = (
    ("incidents", lambda one: one.incidents),
    ("curable remotely", lambda one: one.curable),
    ("cured unattended", lambda one: one.cured),
    ("visits", lambda one: one.visits),
    ("edits and operations", lambda one: one.acts),
    ("repairs tried", lambda one: one.attempts),
    ("wrong", lambda one: len(one.wrong)),
)


def _row(what: str, *values: str) -> str:
    return f"{what:<32}" + "".join(f"{value:>15}" for value in values)
