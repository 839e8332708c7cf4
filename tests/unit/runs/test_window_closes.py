"""A window that closes in the middle of a run, in virtual time: nothing begins until it opens again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from controller.models.approval import RunTerms, StationTerms
from controller.models.run import Job, Outcome, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.plan import network_digest
from controller.ports.clock import VirtualClock
from controller.ports.fake_devices import FakeDevices
from controller.ports.queue import FakeDoorbell
from controller.ports.store import NewJob
from controller.runs.loop import WorkerLoop
from controller.runs.procedures import Tools
from controller.store import open_store
from tests.unit.plan import samples
from tests.unit.runs.test_loop import FlakyStore, Plant
from tests.unit.runs.world import TARGET

#: The clock starts at 19:00 in Lima; the first window closes 80 s later, the second one opens 100 s later.
WINDOWS = tuple(
    MaintenanceWindow.model_validate({"start": start, "end": end})
    for start, end in (("18:00:00", "19:01:20"), ("19:01:40", "20:00:00"))
)


class TwoStations(Plant):
    """Two stations that get a third tenant, one after the other, in windows."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = open_store("sqlite://", self.clock)
        self.devices = FakeDevices(self.clock)
        self.bell = FakeDoorbell()
        old, new = samples.network(), samples.network(("alfa", "beta", "gamma"))
        views = {station: samples.view(old, station) for station in ("S1", "S2")}
        self.made = samples.plan(new, views)
        for station, view in views.items():
            assert view.observed is not None
            self.devices.add(station, samples.PROFILES, view.observed.tree)
        self.store.save_network(old, network_digest(old), "ana")
        self.store.save_plan(self.made, "ana")

    def submit(self) -> str:
        group = StationTerms(region="r", timezone="America/Lima", tenants=("gamma",), calendars=(WINDOWS,))
        terms = RunTerms(subject="s", groups=(group,), stations={"S1": ("site-1", 0), "S2": ("site-2", 0)})
        jobs = [NewJob(0, "S1"), NewJob(1, "S2")]
        strategy = Strategy(confirm_timeout=30, soak=60)
        run = self.store.create_run(self.made, "apply", strategy, jobs, cause="person", actor="ana", terms=terms)
        return run.id

    def worker(self, store: FlakyStore | None = None, name: str = "w") -> WorkerLoop:
        loop_store = store or FlakyStore(self.store)
        tools = Tools(loop_store, self.devices, self.clock, lambda _, station: replace(TARGET, station=station))
        return WorkerLoop(name, tools, self.bell)

    def jobs(self, run: str) -> list[Job]:
        return self.store.jobs(run)

    def at(self, seconds: float) -> datetime:
        return VirtualClock().now() + timedelta(seconds=seconds)


async def test_a_run_rests_while_its_window_is_closed() -> None:
    plant = TwoStations()
    run = plant.submit()
    async with plant.working(plant.worker()):
        await plant.advance(30)
        first, second = plant.jobs(run)
        assert (first.outcome, first.closes) == (Outcome.SUCCEEDED, plant.at(80))
        # The soak is over while the window is still open, but no longer for a whole confirm time-out.
        await plant.advance(65)
        second = plant.jobs(run)[1]
        assert (second.outcome, second.attempts) == (None, 0)
        assert second.blocked == "window opens 2025-12-31 19:01 (America/Lima)"
        assert plant.store.run(run).state is RunState.RUNNING
        await plant.advance(25)
        second = plant.jobs(run)[1]
        assert second.outcome is Outcome.SUCCEEDED
        assert second.started is not None
        assert second.started >= plant.at(100)
        assert plant.store.run(run).state is RunState.SUCCEEDED
    plant.store.close()
