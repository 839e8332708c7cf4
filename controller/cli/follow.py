"""Follows a run to its end, with a bar for each wave, and alarms and incidents until interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from controller.cli.errors import FAILED, UNREACHABLE, CliError
from controller.cli.output import bold, client, coloured, err, out, print_json, print_result
from controller.cli.progress import working
from controller.cli.waits import show_waits, show_why_stopped
from controller.models.enums import Outcome, RunState
from controller.models.many import first_names, lines_of, shape_of
from controller.models.untrusted import visible

if TYPE_CHECKING:
    from rich.progress import TaskID

    from controller.cli.client import Client
    from controller.ports.clock import Clock

#: Attempts to reopen a broken stream, a second apart: the API may be restarting.
_ATTEMPTS = 30
#: Most stations to name where a remark is about many.
_MOST = 5


def name_of(wave: int, waves: int, strategy: Mapping[str, Any]) -> str:
    """The name of a wave for people; a tenant sees no strategy, so no canary."""
    canary = strategy.get("canary", 0) > 0 and waves > 1 and wave == strategy.get("canary_wave", 0)
    return "canary" if canary else f"wave {wave}"


class _Bars:
    """Progress by wave; without a terminal a line for each wave that ends."""

    def __init__(self, run: Mapping[str, Any], jobs: list[dict[str, Any]], *, silent: bool) -> None:
        from rich.progress import (  # noqa: PLC0415 - takes a while to load
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self._strategy: Mapping[str, Any] = run.get("strategy", {})
        #: Devices that have not ended, by wave.
        self._open: dict[int, list[str]] = {}
        for job in jobs:
            self._open.setdefault(_wave(job), []).append(job["station"])
        self._totals = {wave: len(stations) for wave, stations in self._open.items()}
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[awaited]}", markup=False),
        )
        self.progress = Progress(*columns, console=out, disable=silent or not out.is_terminal)
        self._silent = silent
        self._waits: set[str] = set()
        #: What is said of devices that went well, and of others by outcome and by what is alike.
        self._remarks: list[tuple[str, str]] = []
        self._failures: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._tasks: dict[int, TaskID] = {
            wave: self.progress.add_task(self._name(wave), total=count, start=False, awaited="")
            for wave, count in sorted(self._totals.items())
        }

    def _name(self, wave: int) -> str:
        return name_of(wave, len(self._totals), self._strategy)

    def run(self, run: dict[str, Any]) -> None:
        """Show the wave that the run works on."""
        for wave, task in self._tasks.items():
            if wave <= _wave(run) and run["state"] != RunState.QUEUED:
                self.progress.start_task(task)
                self._await(wave)
        if not self._silent:
            self._waits = show_waits(run, self._waits)

    def _await(self, wave: int) -> None:
        """Show for which devices the wave waits."""
        names = visible(first_names(self._open[wave], 1))
        self.progress.update(self._tasks[wave], awaited=f"waits for {names}" if names else "")

    def job(self, job: dict[str, Any]) -> None:
        """Count a job that ended; print it at once if it did not go well, unless another one ended alike."""
        wave = _wave(job)
        self._open[wave].remove(job["station"])
        self.progress.advance(self._tasks[wave])
        self._await(wave)
        if self._silent:
            return
        station, detail = job["station"], job.get("detail") or ""
        if job["outcome"] == Outcome.SUCCEEDED and detail:
            self._remarks.append((station, detail))
        elif not Outcome(job["outcome"]).good:
            same = self._failures.setdefault((job["outcome"], shape_of(station, detail)), [])
            same.append((station, detail))
            if len(same) == 1:
                out.print(f"{station}:", coloured(job["outcome"]), *filter(None, [detail]))
        if not out.is_terminal and not self._open[wave]:
            out.print(f"{self._name(wave)}: {self._totals[wave]} done")

    def remarks(self) -> None:
        """Print what devices said that ended alike, and what is said of those where all went well; each text once."""
        for (outcome, _), same in self._failures.items():
            if len(same) > 1:
                out.print(coloured(outcome), *lines_of(same, most=_MOST), soft_wrap=True)
        for line in lines_of(self._remarks, most=_MOST):
            out.print(line, soft_wrap=True)


def _wave(seen: dict[str, Any]) -> int:
    """The wave of a run or job; a tenant sees no waves, so all its jobs are in one."""
    return int(seen.get("wave", 0))


def accepted(
    run: dict[str, Any], of: str, *, detach: bool, as_json: bool, comes_to: Callable[[], None] | None = None
) -> None:
    """Show a run that was accepted, what it ``comes_to`` where that is known, and follow it unless ``detach``."""
    if detach:
        words = f"run {run['id']} accepted; follow it with: minka watch {run['id']}"
        print_result(run, words, as_json=as_json)
    elif not as_json:
        out.print("run", bold(run["id"]), of)
    if comes_to is not None and not as_json:
        comes_to()
    if not detach:
        follow(run["id"], as_json=as_json)


def follow(run_id: str, *, as_json: bool = False) -> None:
    """Watch a run to its end; exit status 1 unless all went well. An interrupt does not stop the run."""
    from controller.ports.clock import SystemClock  # noqa: PLC0415

    api = client()
    with working("asking for the run and its jobs", shown=not as_json):
        run, jobs = api.get(f"/v1/runs/{run_id}"), api.all(f"/v1/runs/{run_id}/jobs")
    bars = _Bars(run, jobs, silent=as_json)
    last: dict[str, Any] = {}
    shown: set[str] = set()
    try:
        with bars.progress:
            for name, data in _events(api, f"/v1/runs/{run_id}/events", SystemClock()):
                if name == "run":
                    last = data
                    bars.run(data)
                elif data["station"] not in shown:
                    shown.add(data["station"])
                    bars.job(data)
    except KeyboardInterrupt:
        err.print(
            f"no longer watching; run {run_id} continues; minka watch {run_id}, or stop it: minka cancel {run_id}"
        )
        raise
    if as_json:
        print_json(last | {"jobs": api.all(f"/v1/runs/{run_id}/jobs")})
    else:
        bars.remarks()
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(last["counts"].items()))
        out.print(f"run {run_id} ", coloured(last["state"]), f": {counts}", sep="")
        show_why_stopped(last)
    if last["state"] != RunState.SUCCEEDED:
        raise typer.Exit(FAILED)


def changes(path: str) -> Iterator[dict[str, Any]]:
    """Alarms or incidents as they stand, then each change, until interrupted."""
    from controller.ports.clock import SystemClock  # noqa: PLC0415

    return _news(_events(client(), path, SystemClock()))


def _news(events: Iterable[tuple[str, Any]]) -> Iterator[dict[str, Any]]:
    """Drop repetitions: a reopened stream begins with all that stands."""
    said: dict[str, int] = {}
    for _, one in events:
        if said.get(one["id"]) != (now := hash(str(one))):
            said[one["id"]] = now
            yield one


def _events(api: Client, path: str, clock: Clock) -> Iterator[tuple[str, Any]]:
    """Events, for a run until it ends. A broken stream is reopened, and then repeats events."""
    left = _ATTEMPTS
    while True:
        try:
            for name, data in api.events(path):
                left = _ATTEMPTS
                yield name, data
                if name == "run" and RunState(data["state"]).terminal:
                    return
        except CliError as error:
            if error.status != UNREACHABLE or left <= 0:
                raise
        # The stream broke, or ended because the API restarts.
        left -= 1
        clock.pause(1)
