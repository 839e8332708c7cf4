"""``check-user-plane``: by the state of its links, else by what was counted since the run first acted there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller.models.equipment import Equipment
from controller.models.measurement import Period
from controller.models.network import Network
from controller.models.run import LedgerEntry
from controller.nrm.tree import Observed, Path
from controller.playbook.actions.state import CheckedLinks, LinkChoice, check_user_plane
from controller.playbook.language.registry import UnmetCondition
from controller.ports.clock import VirtualClock
from tests.unit.plan import samples

UP = "/ManagedElement[S1]/GNBCUUPFunction[1]/EP_NgU[alfa-upf]"
CONTROL = "/ManagedElement[S1]/GNBCUCPFunction[1]/EP_NgC[alfa-amf]"
SLICE = "1-000001"


class Bench:
    """A station with a core link of each plane, seen through a step."""

    station, profiles, dry_run = "S1", samples.PROFILES, False

    def __init__(self, state: str | None = None, volume: float | None = None, age: float = 900) -> None:
        self.clock = VirtualClock()
        self.first: datetime | None = self.clock.now() - timedelta(seconds=1000)
        self.network: Network = samples.network()
        self._state: dict[Path, dict[str, Any]] = {} if state is None else {UP: {"operationalState": state}}
        there = self.clock.now() + timedelta(hours=5)  # its clock is wrong
        self._now = there
        self._periods: tuple[Period, ...] = ()
        if volume is not None:
            values = {
                "ManagedElement=S1,GNBCUCPFunction=1,NRCellCU=N1": {
                    f"DRB.PdcpSduVolumeDL.716-01.9.{SLICE}": volume,
                    f"SM.PDUSessionSetupSucc.{SLICE}": 5.0,
                },
            }
            begin = there - timedelta(seconds=age)
            self._periods = (Period(job="1", begin=begin, end=begin + timedelta(minutes=5), values=values),)
        self.owned = dict.fromkeys((UP, CONTROL), ("alfa",))

    async def acted(self) -> datetime | None:
        return self.first

    async def read(self) -> Observed:
        return Observed({UP: {}, CONTROL: {}}, self._state)

    async def ledger(self) -> Mapping[Path, LedgerEntry]:
        return {path: LedgerEntry(station="S1", path=path, owners=owners) for path, owners in self.owned.items()}

    async def measurements(self, station: str = "") -> tuple[Period, ...]:
        return self._periods

    async def equipment(self, station: str = "") -> Equipment:
        return Equipment(now=self._now)


async def check(bench: Bench, **given: Any) -> Any:
    context: Any = SimpleNamespace(**{name: getattr(bench, name) for name in dir(bench) if not name.startswith("_")})
    return await check_user_plane.perform(context, LinkChoice(**given))


async def test_a_state_that_is_reported_is_believed() -> None:
    assert await check(Bench("ENABLED", volume=0.0)) == CheckedLinks(endpoints=("EP_NgU[alfa-upf]",))
    down = await check(Bench("DISABLED", volume=9.0), tenant="alfa")
    assert down == UnmetCondition("nothing is carried: EP_NgU[alfa-upf]")
    assert isinstance(await check(Bench("DISABLED"), excused=("EP_NgU[alfa-upf]",)), CheckedLinks)


@pytest.mark.parametrize(("volume", "carries"), [(9.0, True), (0.0, False)])
async def test_volume_says_it_where_the_state_is_not_reported(volume: float, carries: bool) -> None:
    said = await check(Bench(volume=volume))
    assert said == (
        CheckedLinks(endpoints=("EP_NgU[alfa-upf]",))
        if carries
        else UnmetCondition("nothing is carried: EP_NgU[alfa-upf]")
    )


@pytest.mark.parametrize("bench", [Bench(), Bench(volume=9.0, age=1100), Bench(volume=0.0, age=1100)])
async def test_what_nothing_tells_since_the_run_acted_is_not_checked_and_said(bench: Bench) -> None:
    said = await check(bench)
    assert isinstance(said, CheckedLinks)
    assert said.remark == "not checked, since the station does not report it: EP_NgU[alfa-upf]"


async def test_a_tenant_without_a_user_plane_is_reported() -> None:
    bench = Bench("ENABLED")
    del bench.owned[UP]
    said = await check(bench, tenant="alfa")
    assert isinstance(said, CheckedLinks)
    assert said.remark.startswith("not checked: alfa has no user plane here")
