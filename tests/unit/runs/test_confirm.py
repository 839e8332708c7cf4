"""What answers to a confirm are worth."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.drivers.fake import Fault, FaultKind
from controller.models.errors import DeviceRefusedError
from controller.models.run import Outcome, Strategy
from tests.unit.runs.transaction_bench import TransactionBench, add_tenant


@pytest.mark.parametrize("times", [1, 2, 3, 9])
async def test_a_refused_confirm_proves_nothing(times: int) -> None:
    """It may be refused for any reason, while the commit still waits to revert."""
    bench = TransactionBench(add_tenant(), Strategy(confirm_timeout=60))
    bench.fault("confirm", FaultKind.REFUSE, times=times)
    result = await bench.work()
    assert result.outcome is (Outcome.SUCCEEDED if times < 3 else Outcome.ROLLED_BACK)
    bench.assert_settled(result)


@pytest.mark.parametrize("ahead", [-3600, 0, 3600])
async def test_a_timer_is_waited_for_by_no_time_of_day(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps while the station answers ok to confirms that it does not carry out."""
    bench = TransactionBench(add_tenant(), Strategy(confirm_timeout=60))
    now = bench.clock.now

    def jump() -> None:
        monkeypatch.setattr(bench.clock, "now", lambda: now() + timedelta(seconds=ahead))

    bench.device.faults.append(Fault("confirm", FaultKind.LIE, jump, times=9))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    bench.assert_settled(result)


@pytest.mark.parametrize(("tag", "asks"), [(("invalid", "value"), 1), (("operation", "failed"), 3)])
async def test_only_a_refusal_that_says_that_nothing_waits_is_believed_at_once(
    tag: tuple[str, str], asks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = TransactionBench(add_tenant(), Strategy(confirm_timeout=60))
    asked: list[str] = []

    def confirm(_session: str, persist: str) -> None:
        asked.append(persist)
        raise DeviceRefusedError("no", tag="-".join(tag))  # read from an answer: equal, and another object

    monkeypatch.setattr(bench.device, "confirm", confirm)
    await bench.work()
    assert len(asked) == asks
