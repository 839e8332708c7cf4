from __future__ import annotations

import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.bootstrap import _sessions, parts
from controller.drivers.netconf.devices import LIMIT
from controller.models.measurement import HOUR, QUARTER, Measured, Subject
from controller.models.process import ProcessRole
from controller.models.settings import Settings


@pytest.mark.parametrize(
    ("granted", "sessions"), [(1024, 824), (1_000_000, LIMIT), (resource.RLIM_INFINITY, LIMIT), (150, 1)]
)
def test_as_many_sessions_as_the_system_grants_files_and_some_are_left(
    granted: int, sessions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (100, granted))
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, limits: taken.append(limits))
    assert _sessions() == sessions
    assert taken == [(granted, granted)]


async def test_measurements_are_worked_out_and_kept_as_the_settings_say(tmp_path: Path) -> None:
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=158)
    cells = {"1": {"RRC.ConnEstabAtt": {Subject(): 2.0}}}
    async with parts(Settings(home=tmp_path, period_days=155), ProcessRole.API) as made:
        begins = [begin + at * timedelta(seconds=QUARTER) for at in range(4)]
        await made.loop_store.measurements.put(
            Measured(station="A", begin=one, seconds=QUARTER, covered=QUARTER, cells=cells) for one in begins
        )
        await made.retire_measurements()
        await made.work_out_measurements()
        span = begin, begin + timedelta(hours=1)
        assert len(await made.loop_store.measurements.page(*span, QUARTER)) == 4  # nothing was worked out before
        await made.retire_measurements()
        assert await made.loop_store.measurements.page(*span, QUARTER) == []
        (hour,) = await made.loop_store.measurements.page(*span, HOUR)
        assert hour.cells == {"1": {"RRC.ConnEstabAtt": {Subject(): 8.0}}}


def test_what_is_finer_is_kept_no_longer() -> None:
    with pytest.raises(ValueError, match="MINKA_HOUR_DAYS must be MINKA_PERIOD_DAYS or more"):
        Settings(period_days=500)
    with pytest.raises(ValueError, match="MINKA_PERIOD_DAYS must be 155 or more: a settlement reads"):
        Settings(period_days=154)
