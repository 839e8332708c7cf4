"""Playbooks on stations that do not tell whether cells serve or core links work: excused, and said."""

from __future__ import annotations

from controller.models.run import Outcome
from tests.unit.playbook.test_takeover import PlaybookBench
from tests.unit.runs.test_unreported import CELLS, LINKS

READ = "  - {name: read, action: read-state, register: seen}\n"
CHECKS = "  - {name: cells, action: check-cells-on-air}\n  - {name: links, action: check-core-links}\n"
WAIT = "  - {name: wait, action: wait-until, with: {condition: links-up, seconds: 300}}\n"


def bench_of(steps: str, unreported: set[str]) -> PlaybookBench:
    bench = PlaybookBench(steps)
    bench.device.unreported = unreported
    return bench


async def test_what_is_not_reported_is_neither_up_nor_down() -> None:
    bench = bench_of(READ, LINKS | {"NRCellDU"})
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    (row,) = bench.rows()
    assert row.output is not None
    assert {cell["cell"]: (cell["on_air"], cell["state"]) for cell in row.output["cells"]} == {
        "L1": (True, "up"),
        "N1": (False, "unknown"),
    }
    assert {(link["up"], link["state"]) for link in row.output["links"]} == {(False, "unknown")}
    assert (row.output["dark"], row.output["down"]) == ([], [])
    assert row.output["unknown"] == ["N1", *(link["endpoint"] for link in row.output["links"])]


async def test_checks_excuse_it_and_the_job_says_so() -> None:
    bench = bench_of(CHECKS, LINKS | CELLS)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert "not checked, since the station does not report it: cell L1, cell N1" in result.detail
    assert "EP_S1C[alfa" in result.detail


async def test_it_is_waited_for_a_moment_only() -> None:
    bench = bench_of(WAIT, LINKS)
    begun = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert "not checked" in result.detail
    # 10 s of the action's own, and what others who sleep beside it move this clock on by; not the 300 s that it may.
    assert 5 < bench.clock.monotonic() - begun < 20


async def test_what_is_reported_to_be_down_still_fails() -> None:
    bench = bench_of(CHECKS, {"EP_NgC", "EP_NgU"})
    bench.device.broken_links = {path for path in bench.device.running if "EP_S1C[alfa" in path}
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "down: EP_S1C[alfa" in result.detail
