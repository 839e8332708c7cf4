"""A seeded month of a small network in virtual time: what statements say, against what the twin knows happened.

Faults of the network and of measurement files come as in the field, Minka repairs and collects as in production, and
then each tenant's statements are worked out. One day of the month is played, and all of it in a soak.
"""

from __future__ import annotations

import math
import os
import random
import secrets
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

import pytest

from controller.api.statements import draft
from controller.models.measurement import HOUR, QUARTER
from controller.models.settings import Settings
from controller.models.statement import StatementKind, Value
from controller.rehearsal.day import draw_day, smallest_last
from controller.rehearsal.minka import Minka
from controller.rehearsal.play import BEGINS, Stage
from controller.rehearsal.report import prepare
from controller.rehearsal.truth import demand_of
from simulators.equipment.file_faults import FileFault, FileFaultKind, FileFaults
from simulators.equipment.truth import truth_of
from simulators.station import Station
from tests.support.observed import observe
from tests.support.soak import SOAK

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
SEED = os.environ.get("MINKA_SEED", str(secrets.randbits(32)) if SOAK else "1")
PLMN = {"andes": "999-01", "condor": "999-02", "vicuna": "999-03"}
#: Days of September 2026, how many times as often as in the field faults begin, and the granularity period.
DAYS, TIMES, PERIOD = (30, 5, QUARTER) if SOAK else (1, 30, HOUR)
#: The last day is worked out two hours after its end.
HOURS = 24 * DAYS + 3
END, PERIODS = BEGINS + timedelta(days=DAYS), timedelta(seconds=PERIOD)
#: How often the twin is asked what happened: it forgets.
LOOK = timedelta(hours=3)
#: What goes wrong with files for half an hour each time, by its seconds. Garbage of 100 MB takes too long to write.
FAULTS = {kind: 0.0 for kind in FileFaultKind if kind is not FileFaultKind.GARBAGE} | {
    FileFaultKind.LATE: 5000.0,
    FileFaultKind.SUSPECT: 2700.0,
    FileFaultKind.GRANULARITY_CHANGED: 300.0,
    FileFaultKind.CLOCK_STEP: 300.0,
}
#: Files that never come, or that nobody can read.
USELESS = {FileFaultKind.MISSING, FileFaultKind.TRUNCATED, FileFaultKind.GONE, FileFaultKind.BOMB}

pytestmark = pytest.mark.timeout(7200)


class Sight(StrEnum):
    """What Minka could know of a loss while it lasted."""

    SEEN = "seen"
    CORE = "core"
    """It could read the station; the tenant's core was lost."""
    AWAY = "away"
    """The station had no power, or came up."""
    CUT = "cut"
    """The way to the station was cut."""


class Losses:
    """Adds up what tenants lose, change by change, by what Minka could know of it: the rehearsal knows only causes.

    Attributes:
        minutes: By tenant, class of the cell and sight.
        sites: Of stations at which a tenant lost its core while Minka could read them, by tenant and class of the cell.
    """

    def __init__(self, stage: Stage, end: float) -> None:
        self.minutes: defaultdict[tuple[str, str, Sight], float] = defaultdict(float)
        self.sites: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._stage, self._end = stage, end
        self._whole = demand_of(stage.fleet, stage.local)
        self._now: dict[str, tuple[float, dict[tuple[str, str, Sight], float]]] = {}
        for station in stage.fleet.stations.values():
            station.equipment.followers = (*station.equipment.followers, self.look)

    def look(self, name: str) -> None:
        """Count what was lost at a station until now, and see what is from now on."""
        now = min(self._stage.clock.monotonic(), self._end)
        since, lost = self._now.get(name, (now, {}))
        for key, part in lost.items():
            self.minutes[key] += part * (now - since) / 60
        self._now[name] = now, self._lost(name)

    def _lost(self, name: str) -> dict[tuple[str, str, Sight], float]:
        fleet, found = self._stage.fleet, defaultdict[tuple[str, str, Sight], float](float)
        equipment = fleet.stations[name].equipment
        reaches = equipment.performance.reaches(self._stage.local)
        classes = {one.configured.id: one.configured.cell_class for one in equipment.radio.cells}
        for (cell, tenant), demand in self._whole[name].items():
            part = 1 - reaches.get((cell, tenant), 0.0) / demand if demand else 0
            if part > 1e-9:
                sight = self._sight(name, tenant)
                found[tenant, classes[cell], sight] += part
                if sight is Sight.CORE:
                    self.sites[tenant, classes[cell]].add(name)
        return found

    def _sight(self, name: str, tenant: str) -> Sight:
        transport = self._stage.fleet.transport
        if self._stage.fleet.stations[name].equipment.down:
            return Sight.AWAY
        if transport.is_cut_off(name):
            return Sight.CUT
        return Sight.CORE if tenant in transport.lost_cores else Sight.SEEN

    def of(self, tenant: str, sight: Sight) -> float:
        """Minutes of a tenant. A core whose loss only one station could tell looks like a fault of its links."""
        return sum(
            minutes
            for (who, kind, found), minutes in self.minutes.items()
            if who == tenant
            and sight == (Sight.SEEN if found is Sight.CORE and len(self.sites[who, kind]) == 1 else found)
        )


@dataclass
class Known:
    """What the twin knows.

    Attributes:
        carried: Megabytes by station, period, PLMN and way.
        delivered: Periods of which a station had a file that can be read.
        minutes: Of cells without service, by tenant.
        losses: The same by tenant and kind of cell, and by what Minka could know of it then.
    """

    carried: dict[tuple[str, datetime], dict[tuple[str, int], float]] = field(default_factory=dict)
    delivered: set[tuple[str, datetime]] = field(default_factory=set)
    minutes: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    losses: Losses | None = None

    @property
    def lost(self) -> set[tuple[str, datetime]]:
        """Periods that nobody can know anything about."""
        return self.carried.keys() - self.delivered

    def volume(self, tenant: str, way: int) -> float:
        """Megabytes of what was delivered."""
        return sum(one[PLMN[tenant], way] for key, one in self.carried.items() if key in self.delivered)


class Follower:
    """Puts faults of files on the clock, and remembers what happened and what stations delivered."""

    def __init__(self, stage: Stage) -> None:
        self.known = Known()
        self._stage = stage
        self._since = BEGINS
        left = (END - stage.clock.now()).total_seconds()
        self.known.losses = Losses(stage, stage.clock.monotonic() + left if SOAK else math.inf)
        for number in range(1, int((END - BEGINS) / LOOK) + 1):
            self._at(BEGINS + number * LOOK + timedelta(seconds=90), self._look)
        if SOAK:
            self._at(END, self.outages)
        chance = random.Random(SEED)
        for name in sorted(stage.fleet.stations):
            # One at a time: of two periods that are suspect, nobody can tell which one is the better.
            kinds = sorted(FAULTS) * max(1, DAYS // 4)
            turn = (24 * DAYS - 6) / len(kinds)
            for number, kind in enumerate(chance.sample(kinds, len(kinds))):
                begin = BEGINS + timedelta(hours=0.5 + turn * number + chance.uniform(0, turn - 1))
                self._at(begin, partial(self._strike, name, kind, FAULTS[kind]))

    def _at(self, moment: datetime, act: Callable[[], None]) -> None:
        self._stage.clock.call_later((moment - self._stage.clock.now()).total_seconds(), act)

    def _strike(self, station: str, kind: FileFaultKind, seconds: float) -> None:
        faults = self._stage.fleet.stations[station].equipment.file_faults
        one = faults.inject(FileFault(kind=kind, count=None, seconds=seconds))
        # Until after the end of a period at least.
        self._stage.clock.call_later(max(1800, PERIOD), partial(self._end, faults, one))

    def _end(self, faults: FileFaults, one: FileFault) -> None:
        faults.clear(one.id)

    def _look(self) -> None:
        """Remember what happened since the last look, and which files came."""
        until = self._since + LOOK
        for name, station in self._stage.fleet.stations.items():
            files = station.equipment.files(station.server.profile.files)
            for file in files.since(self._since - timedelta(hours=6)):
                if not USELESS & file.faults.keys():
                    number = int((file.end - file.begin) / PERIODS)
                    self.known.delivered |= {(name, file.begin + n * PERIODS) for n in range(number)}
            for number in range(int(LOOK / PERIODS)):
                begin = self._since + number * PERIODS
                self.known.carried[name, begin] = self._carried(station, begin)
        self._since = until

    def _carried(self, station: Station, begin: datetime) -> dict[tuple[str, int], float]:
        """What a station carried in a period by its own clock, which may be wrong."""
        found: defaultdict[tuple[str, int], float] = defaultdict(float)
        now = self._stage.clock.now().timestamp()
        clock, end = station.equipment.file_faults.clock, begin + PERIODS
        for span in clock.spans(begin.timestamp(), end.timestamp(), now):
            since, until = (datetime.fromtimestamp(one, UTC) for one in span)
            volume = truth_of(station.equipment.performance, since, until).volume
            for (_, plmn, _, _), megabits in volume.items():
                for way in (0, 1):
                    found[plmn, way] += megabits[way] / 8
        return found

    def outages(self) -> None:
        """Remember how long nobody was served until now."""
        for (_, tenant), minutes in self._stage.outages.minutes().items():
            self.known.minutes[tenant] += minutes
        assert self.known.losses is not None
        for name in self._stage.fleet.stations:
            self.known.losses.look(name)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Minka, Known]]:
    """Minka after the month, and what the twin knows."""
    folder = tmp_path_factory.mktemp("month") / "tiny"
    shutil.copytree(TINY, folder)
    text = (folder / "network.yaml").read_text()
    asked = f"  performance: {{granularity_minutes: {PERIOD // 60}}}\n"
    (folder / "network.yaml").write_text(text.replace("regions:", f"{asked}regions:", 1))
    ground = prepare(folder, Settings(home=tmp_path_factory.mktemp("home")))
    stage = ground.stage()
    follower = Follower(stage)
    minka = Minka(stage, ground.record, ground.settings, measures=True)
    close, minka.store.close = minka.store.close, lambda: None  # type: ignore[method-assign]
    day = draw_day(ground.simulated, smallest_last(ground.network), SEED, HOURS, TIMES)
    # What every drawn day has once is much for a single one.
    minka.play(day if SOAK else replace(day, causes=tuple(one for one in day.causes if not one.story), stops=()))
    # Virtual time leaps over what would change nothing: checks that it leaves out would have read the same.
    observe(minka.store, stage.fleet.stations, BEGINS, minka.clock.now())
    if not SOAK:  # the month goes on
        follower.outages()
    yield minka, follower.known
    close()


def rows(minka: Minka, tenant: str, kind: StatementKind, name: str) -> list[dict[str, Value]]:
    statement = draft(minka.store, minka.clock.now(), kind, tenant, "2026-09")
    sheet = next(one for one in statement.sheets if one.name == name)
    return [dict(zip((column.name for column in sheet.columns), row, strict=True)) for row in sheet.rows]


@pytest.mark.parametrize("tenant", PLMN)
def test_volume_is_that_of_the_twin_to_a_thousandth(month: tuple[Minka, Known], tenant: str) -> None:
    minka, known = month
    (total,) = rows(minka, tenant, StatementKind.VOLUME, "total")
    for way, name in enumerate(("down", "up")):
        truth = known.volume(tenant, way)
        print(f"seed {SEED}, {tenant} {name}: {total[name]} MB, truth {truth:.3f} MB")
        assert total[name] == pytest.approx(truth, rel=0.001)
        assert truth > 100


def test_gaps_are_the_periods_of_which_no_file_can_be_read(month: tuple[Minka, Known]) -> None:
    minka, known = month
    gaps = minka.store.measurements.gaps(BEGINS, END)
    found = {
        (gap.station, gap.begin + number * PERIODS)
        for gap in gaps
        for number in range(int((gap.end - gap.begin) / PERIODS))
    }
    assert found == known.lost
    assert 0 < len(found) < len(known.carried) / 5


@pytest.mark.parametrize("tenant", PLMN)
def test_minutes_are_owed_and_unseen_as_the_twin_knows(month: tuple[Minka, Known], tenant: str) -> None:
    """Each column by itself: a sum would hide minutes that went to another column."""
    minka, known = month
    (said,) = rows(minka, tenant, StatementKind.SLA, "agreements")
    lost, unseen, own_core = (float(said[name] or 0) for name in ("lost", "unseen", "own_core"))
    assert known.losses is not None
    truth = {sight: known.losses.of(tenant, sight) for sight in Sight}
    print(f"seed {SEED}, {tenant}: lost {lost:.2f}, unseen {unseen:.2f}, own core {own_core:.2f} min; truth {truth}")
    assert lost + unseen + own_core == pytest.approx(known.minutes[tenant], abs=1)
    assert own_core == pytest.approx(truth[Sight.CORE], abs=1)
    # Proofs tell more than readings: a fault that its station lists before and after a silence, a known cut.
    proved = sum(
        float(row["seconds"] or 0) / 60
        for row in rows(minka, tenant, StatementKind.SLA, "outages")
        if row["part"] == "lost" and row["known_by"] != "reading"
    )
    near = 1 + known.minutes[tenant] / 1000
    assert truth[Sight.AWAY] - proved - near <= unseen <= truth[Sight.AWAY] + truth[Sight.CUT] + near
    assert truth[Sight.SEEN] - near <= lost <= truth[Sight.SEEN] + truth[Sight.CUT] + proved + near
    assert said["borne"] == said["unseen"], "the host bears what nobody saw"
    assert [said[name] for name in ("planned", "own_work", "outside", "unobserved", "locked")] == [0] * 5
    assert known.minutes[tenant] > 10


def test_faults_began_and_were_repaired(month: tuple[Minka, Known]) -> None:
    minka, _ = month
    assert len(minka.stage.watch.struck) >= 4
    assert minka.stage.watch.attempts
