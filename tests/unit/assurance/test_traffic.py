"""What counters say of a tenant's user plane: volume proves it, sessions without volume disprove it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.assurance.traffic import carried
from controller.models.measurement import Period
from controller.models.network import Rat
from tests.unit.plan import samples

AT = datetime(2026, 1, 1, tzinfo=UTC)
ALFA = samples.network().tenant_by_id["alfa"]
LTE = "ManagedElement=S1,ENBFunction=1,EUtranCellFDD=L1"
CU, OTHER_CU = (f"ManagedElement=S1,GNBCUCPFunction=1,NRCellCU=N{n}" for n in (1, 2))
SLICE, SESSIONS = "1-000001", {OTHER_CU: {"SM.PDUSessionSetupSucc.1-000001": 12.0}}


def period(values: dict[str, dict[str, float]], *, suspect: bool = False, minutes: int = 15) -> Period:
    return Period(job="1", begin=AT, end=AT + timedelta(minutes=minutes), suspect=suspect, values=values)


def nr(volume: float, plmn: str = "716-01") -> dict[str, dict[str, float]]:
    return {CU: {f"DRB.PdcpSduVolumeDL.{plmn}.9.{SLICE}": volume}}


def plane(volume: float, plmn: str = "716-01") -> dict[str, dict[str, float]]:
    return {"ManagedElement=S1,GNBCUUPFunction=1": {f"QosFlow.PdcpSduVolumeDL.{plmn}.9.{SLICE}": volume}}


@pytest.mark.parametrize(
    ("rat", "values", "state"),
    [
        (Rat.NR, nr(3.5), "up"),
        (Rat.NR, nr(0.0) | SESSIONS, "down"),
        (Rat.NR, nr(0.0), "unknown"),  # perhaps nobody was there
        (Rat.NR, SESSIONS, "unknown"),  # volume is not counted
        (Rat.NR, nr(3.5, "716-02"), "unknown"),  # another tenant's
        (Rat.NR, {LTE: {"DRB.PdcpSduVolumeDl.716-01.9": 7.0}}, "unknown"),  # another technology's
        (Rat.LTE, {LTE: {"DRB.PdcpSduVolumeDl.716-01.9": 7.0}}, "up"),
        (Rat.LTE, {LTE: {"DRB.PdcpSduVolumeDl.716-01.9": 0.0}} | SESSIONS, "unknown"),
        (Rat.NR, {}, "unknown"),
        (Rat.NR, plane(3.5), "up"),
        (Rat.NR, plane(0.0), "unknown"),  # a user plane counts no sessions
        (Rat.NR, plane(3.5, "716-02"), "unknown"),
    ],
)
def test_what_a_period_says(rat: Rat, values: dict[str, dict[str, float]], state: str) -> None:
    assert carried(ALFA, rat, [period(values)]) == state


def test_the_longest_period_of_a_station_that_ran_all_the_time_counts() -> None:
    assert carried(ALFA, Rat.NR, []) == "unknown"
    assert carried(ALFA, Rat.NR, [period(nr(1.0), suspect=True)]) == "unknown"
    assert carried(ALFA, Rat.NR, [period(nr(0.0) | SESSIONS, minutes=1), period(nr(1.0))]) == "up"
