"""The alarm of a core link ends by what the next check reads, whichever process makes it, and by nothing unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from controller.assurance.checker import Check, Checker
from controller.drivers.protocols import Observed
from controller.models.alarm import ALL_LINKS_DOWN, CORE_LINK_DOWN, AlarmReport, AlarmSource, PerceivedSeverity
from controller.nrm.profiles import links
from controller.nrm.tree import is_below
from tests.support.quick_stores import DirectStore
from tests.support.soak import rounds
from tests.unit.assurance.test_failures import Bench, made

Read = Literal["up", "down", "silent", "gone", "dark"]
"""A link that works, is down, or of which the station reports no state; one that vanished; a station not reached."""


@dataclass(frozen=True)
class Step:
    """One check; ``restarted`` is whether the listener was started anew before it."""

    read: Read
    restarted: bool = False


class Looked:
    """One core link of station S1, checked again and again."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        tree = bench.seen["S1"].tree
        self.all = [one.path for one in links(tree)]
        self.link = next(one.path for one in links(tree) if one.kind == "S1C")

    def observed(self, read: Read, *which: str) -> Observed | None:
        if read == "dark":
            return None
        seen, hit = self.bench.seen["S1"], which or (self.link,)
        state = {path: leaves for path, leaves in seen.state.items() if path not in hit}
        if read == "gone":
            inside = {path for path in seen.tree if any(path == one or is_below(path, one) for one in hit)}
            return Observed({path: leaves for path, leaves in seen.tree.items() if path not in inside}, state)
        said = {"up": {"operationalState": "ENABLED"}, "down": {"operationalState": "DISABLED"}}.get(read, {})
        return Observed(seen.tree, state | dict.fromkeys(hit, said))

    async def check(self, step: Step, *which: str) -> None:
        if step.restarted:
            old = self.bench.checker
            sources = frozenset(AlarmSource)
            self.bench.checker = Checker(DirectStore(self.bench.store), old._planner, self.bench.clock, sources)
            self.bench.checker.follow(["S1"])
        self.bench.clock.pause(10)
        seen = self.observed(step.read, *which)
        reason = "" if seen else "unreachable"
        await self.bench.checker.record([Check("S1", self.bench.clock.now(), seen, reason)])

    def stands(self, cause: str = CORE_LINK_DOWN) -> bool:
        found = self.bench.store.alarms.standing(["S1"])
        return any(one.probable_cause == cause and one.cleared is None for one in found)


_STEPS = st.builds(Step, st.sampled_from(["up", "down", "silent", "silent", "gone", "gone", "dark"]), st.booleans())


def _is_over(earlier: list[Read]) -> bool:
    """Whether the last read shows a fault to be over: it works, or it had vanished, is back, and never was down."""
    *before, last = [read for read in earlier if read != "dark"]
    if earlier[-1] == "dark" or last != "silent":
        return earlier[-1] == "up"
    since: list[str] = []
    for read in before:  # what was known to be wrong since it was last known to be well
        since = [] if read == "up" or (read == "silent" and set(since) == {"gone"}) else [*since, read]
    return "gone" in since and "down" not in since


@settings(max_examples=rounds(30), deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.lists(_STEPS, min_size=3, max_size=10))
@example([Step("gone"), Step("gone"), Step("silent", restarted=True)])
@example([Step("gone"), Step("gone"), Step("dark"), Step("silent")])
@example([Step("gone"), Step("gone"), Step("dark", restarted=True), Step("silent", restarted=True)])
@example([Step("down"), Step("down"), Step("gone"), Step("silent")])
@example([Step("down"), Step("down"), Step("dark"), Step("gone"), Step("silent", restarted=True)])
async def test_an_alarm_ends_at_the_first_read_that_shows_its_fault_over_and_at_no_other(steps: list[Step]) -> None:
    with made() as bench:
        looked, reads = Looked(bench), list[Read]()
        for step in steps:
            stood = looked.stands()
            await looked.check(step)
            reads.append(step.read)
            if stood:
                assert looked.stands() is not _is_over(reads), reads
            elif looked.stands():
                assert {*reads[-2:]} <= {"down", "gone"}, reads
                assert not step.restarted


async def test_a_station_whose_links_are_all_back_is_no_longer_cut_off() -> None:
    with made() as bench:
        looked = Looked(bench)
        for _ in range(2):
            await looked.check(Step("gone"), *looked.all)
        assert looked.stands(ALL_LINKS_DOWN)
        await looked.check(Step("silent", restarted=True), *looked.all)
        assert not looked.stands(ALL_LINKS_DOWN)
        assert not looked.stands()


async def test_what_another_source_alone_raised_is_not_ended_by_a_link_that_tells_nothing() -> None:
    """The other source says itself when that is over. What a check found too is the check's, and ends with it."""
    with made() as bench:
        looked = Looked(bench)
        await looked.check(Step("silent"))
        said = AlarmReport(
            station="S1",
            object=looked.link,
            tenant=next(one.tenant for one in bench.store.healths.find()["S1"].links if one.path == looked.link),
            probable_cause=CORE_LINK_DOWN,
            severity=PerceivedSeverity.MAJOR,
            source=AlarmSource.ALERTMANAGER,
            at=bench.clock.now(),
        )
        bench.store.alarms.report(said)
        for _ in range(3):
            await looked.check(Step("silent"))
        assert looked.stands()
        for read in ("gone", "gone"):
            await looked.check(Step(read))
        assert looked.stands()
        await looked.check(Step("silent"))
        assert not looked.stands()
