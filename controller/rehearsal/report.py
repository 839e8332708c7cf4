"""Rehearses a day in five ways, and prints a comparison."""

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
from controller.rehearsal.judge import PlayedDay, judged, median_of, sum_of
from controller.rehearsal.minka import Minka, adopted
from controller.rehearsal.play import BEGINS, DAY_BEGINS, WARM_UP, Stage, begin, earlier, set_up
from controller.rehearsal.script import GuardedScript, Script
from controller.rehearsal.truth import Demand, demand_of
from controller.rehearsal.twin import provisioned
from controller.remediation.definitions import check
from controller.store import Store
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
    record: Store
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


#: Who answers alarms, in the order in which a day is played.
WAYS = ("nothing", "script", "guarded", "minka", "best")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A day played in five ways.

    Attributes:
        seconds: CPU time that each way took.
        memory: Largest memory of the process in MB.
    """

    seed: str
    hours: float
    nothing: PlayedDay
    script: PlayedDay
    guarded: PlayedDay
    minka: PlayedDay
    best: PlayedDay
    seconds: tuple[float, ...]
    memory: float

    @property
    def ways(self) -> tuple[PlayedDay, ...]:
        """All of them, in the order of ``WAYS``."""
        return self.nothing, self.script, self.guarded, self.minka, self.best

    def to_json(self) -> dict[str, Any]:
        """As JSON carries it."""
        return {"seed": self.seed, "hours": self.hours, "ways": [one.to_json() for one in self.ways]}


def rehearse(ground: Baseline, seed: str, hours: float, times: float = 1.0) -> Rehearsal:
    """Draw the day of a seed, and play it in all five ways."""
    return play_five_ways(ground, draw_day(ground.simulated, smallest_last(ground.network), seed, hours, times))


def rehearse_sweep(ground: Baseline, seed: str, hours: float) -> Rehearsal:
    """Play each fault of the twin once for each kind of station, in all five ways."""
    return play_five_ways(ground, sweep(ground.simulated, seed, hours))


def play_five_ways(ground: Baseline, day: Day) -> Rehearsal:
    """Play a day in all five ways; the faults are the same."""
    stages, seconds = [], []
    for play in (_nothing, _script(ground, Script), _script(ground, GuardedScript), _minka(ground), _best):
        began, stage = time.process_time(), ground.stage()
        play(stage, day)
        stages.append(stage)
        seconds.append(time.process_time() - began)
    lost = stages[0].outages.minutes()
    nothing, script, guarded, minka, best = (
        judged(name, stage, day, ground.network, None if stage is stages[0] else lost)
        for name, stage in zip(WAYS, stages, strict=True)
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Rehearsal(day.seed, day.hours, nothing, script, guarded, minka, best, tuple(seconds), memory)


_Play = Callable[[Stage, Day], None]


def _nothing(stage: Stage, day: Day) -> None:
    stage.clock.advance(DAY_BEGINS - WARM_UP)
    begin(stage, day)
    stage.clock.advance(day.hours * 3600)


def _best(stage: Stage, day: Day) -> None:
    stage.at_best = True
    _nothing(stage, day)


def _script(ground: Baseline, made: type[Script]) -> _Play:
    return lambda stage, day: made(stage, ground.network).play(day)


def _minka(ground: Baseline) -> _Play:
    return lambda stage, day: Minka(stage, ground.record, ground.settings).play(day)


# ------------------------------------------------------------------------- printing


def lines_of(rehearsal: Rehearsal, *, wrongs: int = 10) -> Iterator[str]:
    """The comparison for people, 80 columns wide at most."""
    yield f"seed {rehearsal.seed}, {rehearsal.hours:g} h"
    yield from _table(rehearsal.ways)
    yield _row("CPU seconds", *(f"{one:.1f}" for one in rehearsal.seconds))
    yield from _by_kind(rehearsal.minka)
    for rule, (good, bad) in sorted(rehearsal.minka.rules.items()):
        yield f"rule {rule}: cured {good}, did not cure {bad}"
    for one in rehearsal.minka.wrong[:wrongs]:
        at = f"{int(one.at // 3600):02}:{int(one.at % 3600 // 60):02}"
        yield f"wrong at {at} {one.station} {one.what}: {'; '.join(one.why)}"[:80]
    if (left := len(rehearsal.minka.wrong) - wrongs) > 0:
        yield f"… and {left} more: --json"


def lines_of_all(rehearsals: Sequence[Rehearsal]) -> Iterator[str]:
    """The sums over all seeds, for people."""
    seeds = ", ".join(one.seed for one in rehearsals)
    yield f"all seeds: {seeds}"[:80]
    ways = [sum_of([one.ways[number] for one in rehearsals]) for number in range(len(WAYS))]
    yield from _table(ways)
    yield from _by_kind(next(one for one in ways if one.way == "minka"))


def _by_kind(day: PlayedDay) -> Iterator[str]:
    """What became of each kind of fault, and the median of the minutes until people knew of what no repair ended."""
    yield _row("by Minka", "incidents", "curable", "cured", "alarm, min", "call, min")
    for kind, counts in sorted(day.by_kind.items()):
        told = day.told.get(kind, ())
        medians = (median_of(one.alarm for one in told), median_of(one.called for one in told))
        yield _row(f"  {kind}", *map(str, counts), *("-" if one is None else f"{one / 60:.1f}" for one in medians))


def _table(ways: Sequence[PlayedDay]) -> Iterator[str]:
    yield _row("", *(one.way for one in ways))
    for what, told in _FIGURES:
        yield _row(what, *map(told, ways))
    nothing = ways[0]
    for tenant in sorted({tenant for one in ways for tenant in one.minutes}):
        yield _row(f"minutes, {tenant}", *(_minutes(one.minutes.get(tenant, 0.0)) for one in ways))
    yield _row("minutes, all tenants", *(_minutes(one.lost) for one in ways))
    yield _row("  against nothing", *(_change(one.lost, nothing.lost) for one in ways))
    for cause in nothing.by_cause | {cause: {} for one in ways for cause in one.by_cause}:
        yield _row(f"  {cause}", *(_minutes(sum(one.by_cause.get(cause, {}).values())) for one in ways))


def _minutes(lost: float) -> str:
    return f"{lost:.0f}"


def _change(lost: float, nothing: float) -> str:
    return f"{lost / nothing - 1:+.1%}" if nothing else ""


def _part(some: int, of: int) -> str:
    return f"{some / of:.0%}" if of else "none"


_FIGURES: Sequence[tuple[str, Callable[[PlayedDay], str]]] = (
    ("incidents", lambda one: str(one.incidents)),
    ("curable remotely", lambda one: str(one.curable)),
    ("cured unattended", lambda one: str(one.cured)),
    ("  of the curable", lambda one: _part(one.cured, one.curable)),
    ("  of all incidents", lambda one: _part(one.cured, one.incidents)),
    ("visits", lambda one: str(one.visits)),
    ("edits and operations", lambda one: str(one.acts)),
    ("repairs tried", lambda one: str(one.attempts)),
    ("wrong", lambda one: str(len(one.wrong))),
)


def _row(what: str, *values: str) -> str:
    return f"{what:<25}" + "".join(f"{value:>11}" for value in values)
