"""Stages of a run: groups of units in order, each cut into waves of its own. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from controller.models.run import Strategy
from controller.ports.store import NewJob
from controller.runs.rollout.waves import cut_units


def cut_stages(
    units: Iterable[tuple[str, ...]],
    stage_of: Callable[[str], int],
    strategy: Strategy,
    ranks: Mapping[str, int] = {},
    *,
    region_of: Callable[[str], str],
    idle: Collection[str] = (),
) -> tuple[NewJob, ...]:
    """Jobs by wave, where no wave holds devices of two stages; a unit belongs to the last stage of its devices.

    The canary stands in the first stage only. See ``cut_units`` for the rest.
    """
    stages: dict[int, list[tuple[str, ...]]] = {}
    for unit in units:
        stages.setdefault(max(stage_of(device) for device in unit), []).append(unit)
    jobs: list[NewJob] = []
    for _, found in sorted(stages.items()):
        first = 1 + jobs[-1].wave if jobs else 0
        one = strategy.model_copy(update={"canary": 0}) if jobs else strategy
        cut = cut_units(found, one, ranks, region_of=region_of, idle=idle)
        jobs += [replace(job, wave=first + job.wave) for job in cut]
    return tuple(jobs)
