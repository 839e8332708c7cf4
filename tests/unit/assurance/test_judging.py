"""A checker judges a station again only where something changed, since reading its ledger costs most of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.assurance import station_alarms
from controller.assurance.checker import Check, Checker
from controller.assurance.health import as_told
from controller.drivers.fake import FakeDevices
from controller.drivers.target import DeviceTarget
from controller.intent.observation import Proof
from controller.intent.times import seconds
from controller.models.alarm import (
    UNREACHABLE,
    ActiveAlarm,
    Alarm,
    AlarmRecord,
    AlarmReport,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.errors import NothingToldError
from controller.models.health import Health, ServiceState
from controller.models.network import Network, network_digest
from controller.models.plan import LedgerNode
from controller.nrm.profiles import cells, links
from controller.nrm.tree import Observed, steps
from controller.ports.clock import VirtualClock
from controller.runs.planning.planner import Planner
from controller.store import Page, Store, open_store
from tests.support.quick_stores import DirectStore
from tests.unit.plan import samples

FAN = ActiveAlarm("5", "fan-1", PerceivedSeverity.MAJOR, "fan broken")


def _nowhere(_network: Network, _station: str) -> DeviceTarget:
    raise NotImplementedError


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The alarms and records of which a report was made."""
    found: list[object] = []

    def counting(make: Callable[..., AlarmReport]) -> Callable[..., AlarmReport]:
        def counted(station: str, one: object, *more: Any) -> AlarmReport:
            found.append(one)
            return make(station, one, *more)

        return counted

    for make in (station_alarms.report_of, station_alarms.report_of_record):
        monkeypatch.setattr(station_alarms, make.__name__, counting(make))
    return found


class Bench:
    """One station, and a checker that checks at it."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock, self.net = store, clock, samples.network()
        #: Stations whose ledger was read.
        self.ledgers = 0
        find = store.ledger.find

        def counted(stations: Sequence[str]) -> Any:
            self.ledgers += len(stations)
            return find(stations)

        store.ledger.find = counted  # type: ignore[assignment]
        digest = network_digest(self.net)
        store.networks.save(self.net, digest, "ana")
        self.own(*(LedgerNode(**entry.model_dump(exclude={"station", "plan"})) for entry in self.entries()))
        direct = DirectStore(store)
        planner = Planner(direct, FakeDevices(clock), clock, _nowhere)
        self.checker = Checker(direct, planner, clock, frozenset(AlarmSource))
        self.observed = samples.carrying(self.net)

    def entries(self) -> Iterable[Any]:
        return samples.ledger(self.net).values()

    def own(self, *nodes: LedgerNode) -> None:
        self.store.devices.adopt("S1", nodes, network_digest(self.net), "ana")

    async def check(
        self, observed: Observed | None = None, reason: str = "", *, changing: bool | None = None
    ) -> tuple[Health, int]:
        """A check, ten seconds later: the health on record, and of how many stations the ledger was read."""
        self.clock.pause(10)
        before = self.ledgers
        seen = None if reason else observed or self.observed
        await self.checker.record([Check("S1", self.clock.now(), seen, reason, changing=changing)])
        return self.store.healths.find()["S1"], self.ledgers - before


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    yield Bench(store, clock)
    store.close()


async def test_a_station_that_answers_the_same_is_not_judged_again(bench: Bench) -> None:
    first, read = await bench.check()
    assert (read, first.drift, all(link.up for link in first.links)) == (1, 0, True)
    again, read = await bench.check()
    assert (read, again) == (0, first.model_copy(update={"at": bench.clock.now(), "read": bench.clock.now()}))


async def test_other_words_are_judged_anew(bench: Bench) -> None:
    await bench.check()
    down = [link.path for link in links(bench.observed.tree)][:1]
    state = samples.states(samples.PROFILES, bench.observed.tree, down)
    health, read = await bench.check(replace(bench.observed, state=state))
    assert (read, [link.path for link in health.links if not link.up]) == (1, down)


async def test_another_ledger_is_judged_anew(bench: Bench) -> None:
    await bench.check()
    missing = f"{samples.LTE}/EP_S1C[missing]"
    bench.own(LedgerNode(path=missing, owners=("alfa",)))
    health, read = await bench.check()
    assert (read, health.drift) == (1, 1)
    assert [link.path for link in health.links if not link.up] == [missing]
    assert (await bench.check())[1] == 0


async def test_other_network_files_are_judged_anew(bench: Bench) -> None:
    await bench.check()
    net = samples.network(("alfa",))
    bench.store.networks.save(net, network_digest(net), "ana")
    assert (await bench.check())[1] == 1


async def test_what_was_dark_is_judged_anew(bench: Bench) -> None:
    await bench.check()
    health, read = await bench.check(reason="unreachable")
    assert (read, health.reachable, any(link.up for link in health.links)) == (1, False, False)
    health, read = await bench.check()
    assert (read, health.reachable, all(link.up for link in health.links)) == (1, True, True)


async def test_alarms_that_a_station_lists_are_judged_where_they_changed_and_reported_all_the_same(
    bench: Bench,
) -> None:
    await bench.check()
    alarmed = replace(bench.observed, alarms=(FAN,))
    assert [(await bench.check(alarmed))[1] for _ in range(3)] == [1, 0, 0]
    (alarm,) = bench.store.alarms.page(Page(10))[1]
    assert alarm.raised == bench.clock.now() - timedelta(seconds=10), "by the check that confirmed it"
    assert [(await bench.check())[1] for _ in range(3)] == [1, 0, 0]
    assert [alarm.cleared is not None for alarm in bench.store.alarms.page(Page(10))[1]] == [True]


async def test_links_name_the_security_gateway_of_their_plane(bench: Bench) -> None:
    through = {"address": "10.1.9.9", "protects": ["control"]}
    tenants = [tenant.model_dump(mode="json") for tenant in bench.net.tenants]
    tenants[0]["core"]["security_gateway"] = through
    net = Network.model_validate(bench.net.model_dump(mode="json") | {"tenants": tenants})
    bench.store.networks.save(net, network_digest(net), "ana")
    for reason in ("", "unreachable"):
        health, _ = await bench.check(reason=reason)
        tunnels = {(link.tenant, link.kind): link.tunnel for link in health.links}
        assert tunnels["alfa", "S1C"] == tunnels["alfa", "NGC"] == "10.1.9.9"
        assert {tunnel for (tenant, kind), tunnel in tunnels.items() if tenant != "alfa" or kind == "NGU"} == {""}


async def test_a_list_that_keeps_what_is_over_costs_no_more_and_one_that_tells_of_something_is_judged(
    bench: Bench, reported: list[object]
) -> None:
    power = AlarmRecord("a-1", "", "", "powerProblem", "", PerceivedSeverity.MAJOR, "")
    ended = replace(power, severity=PerceivedSeverity.CLEARED)
    stands, over = (replace(bench.observed, records=(one,)) for one in (power, ended))
    assert [(await bench.check(stands))[1] for _ in range(3)] == [1, 0, 0]
    assert [(await bench.check(over))[1] for _ in range(3)] == [1, 0, 0]
    assert reported == [power, ended], "a list may be long: a report of each is made once"
    (alarm,) = bench.store.alarms.page(Page())[1]
    assert (alarm.probable_cause, alarm.state) == ("3gpp-power-problem", AlarmState.CLEARED)


async def _outage(bench: Bench, off: float = 0, kept: bool = True) -> Alarm:
    """The alarm of a link that went down 3.25 s before two checks saw it so, and came up 7.5 s before the next one.

    Args:
        off: Seconds that the station's clock is ahead.
        kept: Whether its list keeps what is over.
    """
    link = f"{samples.LTE}/EP_S1C[beta-mme]"
    name = ",".join(f"{kind}={key}" for kind, (key,) in steps(link))
    await bench.check(replace(bench.observed, records=()))
    raised = bench.clock.now() + timedelta(seconds=10 + off - 3.25)
    stands = AlarmRecord("a-1", name, "", "lossOfSignal", "", PerceivedSeverity.MAJOR, "", raised=raised)
    state = samples.states(samples.PROFILES, bench.observed.tree, [link])
    for _ in range(2):
        await bench.check(replace(bench.observed, state=state, records=(stands,)))
    cleared = bench.clock.now() + timedelta(seconds=10 + off - 7.5)
    over = replace(stands, severity=PerceivedSeverity.CLEARED, cleared=cleared)
    await bench.check(replace(bench.observed, records=(over,) if kept else ()))
    (alarm,) = bench.store.alarms.page(Page())[1]
    assert (alarm.object, alarm.source, alarm.cleared) == (link, AlarmSource.CHECK, bench.clock.now())
    return alarm


def _lost(bench: Bench) -> set[float]:
    """Seconds without service of beta in each of its cells."""
    day = bench.clock.now() - timedelta(days=1), bench.clock.now()
    outages = bench.store.incidents.outages(*day)
    assert outages is not None
    found = (outages.agreed_service(one, *day, day[1]).parts for one in bench.net.agreements)
    return {seconds(parts.lost) for one in found for parts in one.values()}


def _told(bench: Bench, what: str, ago: float, cause: str = "core-link-down", source: str = "ves") -> Alarm:
    """The alarm of what somebody with a token sends, as its doors take it, about some seconds ago."""
    report = AlarmReport(
        station="S1",
        object=what,
        object_class=ObjectClass.CELL if cause == "cell-off-air" else ObjectClass.CORE_LINK,
        tenant="" if cause == "cell-off-air" else "beta",
        probable_cause=cause,
        severity=PerceivedSeverity.CRITICAL,
        source=source,
        at=bench.clock.now() - timedelta(seconds=ago),
        body=str(bench.clock.now()),
    )
    return bench.store.alarms.report(as_told(report, bench.store.healths.find()["S1"]))


@pytest.mark.parametrize("source", ["ves", "alertmanager"])
@pytest.mark.parametrize("ago", [0, 150, 86_000])
async def test_what_others_send_takes_no_service_from_what_checks_read_as_serving(
    bench: Bench, source: str, ago: float
) -> None:
    """Of a link and of a cell, again after each check, also while another cell of the station is off air."""
    on_air, off_air = sorted(one.path for one in cells(bench.observed.tree))[:2]
    dark = samples.states(samples.PROFILES, bench.observed.tree, [off_air])
    for _ in range(20):
        await bench.check(replace(bench.observed, state=dark))
    lost = _lost(bench)
    for _ in range(10):
        for _ in range(3):
            bench.clock.pause(2)
            _told(bench, f"{samples.LTE}/EP_S1C[beta-mme]", ago, source=source)
            _told(bench, on_air, ago, "cell-off-air", source)
        await bench.check(replace(bench.observed, state=dark))
    assert max(_lost(bench)) == max(lost) + 10 * (6 + 10)
    assert len(_lost(bench)) == len(lost)


@pytest.mark.parametrize("source", ["ves", "alertmanager"])
@pytest.mark.parametrize("flood", [False, True])
async def test_an_outage_of_which_others_told_first_is_as_long_as_the_readings_say(
    bench: Bench, source: str, *, flood: bool
) -> None:
    """They tell of it at once, with a time that is too early; and go on telling of it after it is over."""
    link = f"{samples.LTE}/EP_S1C[beta-mme]"
    name = ",".join(f"{kind}={key}" for kind, (key,) in steps(link))
    await bench.check(replace(bench.observed, records=()))
    bench.clock.pause(1)
    _told(bench, link, 100, source=source)
    raised = bench.clock.now() + timedelta(seconds=10 - 3.25)
    stands = AlarmRecord("a-1", name, "", "lossOfSignal", "", PerceivedSeverity.MAJOR, "", raised=raised)
    state = samples.states(samples.PROFILES, bench.observed.tree, [link])
    for _ in range(3):
        await bench.check(replace(bench.observed, state=state, records=(stands,)))
        if flood:
            _told(bench, link, 0, source=source)
    cleared = bench.clock.now() + timedelta(seconds=10 - 7.5)
    over = replace(stands, severity=PerceivedSeverity.CLEARED, cleared=cleared)
    await bench.check(replace(bench.observed, records=(over,)))
    if flood:
        _told(bench, link, 5, source=source)
        await bench.check(replace(bench.observed, records=(over,)))
    assert _lost(bench) == {30 + 3.25 - 7.5}
    assert {one.cleared is None for one in bench.store.alarms.page(Page())[1]} == {False}


async def _gap(bench: Bench, *, unreachable: bool, again: float, changing: bool = False) -> set[float]:
    """Seconds without service of beta: two checks see a link down, an hour is not read, two more see it down, then up.

    Args:
        unreachable: Whether the station was asked in that hour, and did not answer.
        again: Seconds by which the time of the record differs after that hour.
        changing: Whether its first answer after that hour comes while a job changes it.
    """
    link = f"{samples.LTE}/EP_S1C[beta-mme]"
    name = ",".join(f"{kind}={key}" for kind, (key,) in steps(link))
    await bench.check(replace(bench.observed, records=()))
    stands = AlarmRecord("a-1", name, "", "lossOfSignal", "", PerceivedSeverity.MAJOR, "", raised=bench.clock.now())
    stands = replace(stands, raised=bench.clock.now() + timedelta(seconds=10))
    state = samples.states(samples.PROFILES, bench.observed.tree, [link])
    for _ in range(2):
        await bench.check(replace(bench.observed, state=state, records=(stands,)))
    for _ in range(359):
        if unreachable:
            await bench.check(reason="unreachable")
        else:
            bench.clock.pause(10)
    if changing:
        health, _ = await bench.check(changing=False)
        assert (health.reachable, health.was_read, health.drift) == (True, False, 0)
    assert stands.raised is not None
    then = replace(stands, raised=stands.raised + timedelta(seconds=again))
    for _ in range(2):
        await bench.check(replace(bench.observed, state=state, records=(then,)))
    await bench.check(replace(bench.observed, records=()))
    return _lost(bench) - {0}


@pytest.mark.parametrize("unreachable", [True, False])
async def test_a_fault_that_the_list_kept_while_nobody_read_it_lasted(bench: Bench, *, unreachable: bool) -> None:
    assert await _gap(bench, unreachable=unreachable, again=0) == {10 + 3600 + 10 + 10}


async def test_what_answers_while_a_job_changes_it_was_not_read(bench: Bench) -> None:
    assert await _gap(bench, unreachable=True, again=0, changing=True) == {10 + 3600 + 10 + 10 + 10}


async def test_of_a_station_that_a_job_changes_counts_only_whether_it_answers(bench: Bench) -> None:
    first, _ = await bench.check()
    link = f"{samples.LTE}/EP_S1C[beta-mme]"
    broken = replace(bench.observed, state=samples.states(samples.PROFILES, bench.observed.tree, [link]))
    for _ in range(3):
        assert (await bench.check(broken, changing=False))[0] == first, "neither as it was nor as it will be"
    assert (await bench.check(reason="session-lost", changing=False))[0] == first, "it may be busy"
    for _ in range(3):
        assert (await bench.check(reason="unreachable", changing=True))[0] == first, "its job restarts it"
    assert _standing(bench) == set()
    for _ in range(2):
        dark, _ = await bench.check(reason="unreachable", changing=False)
    assert (dark.reachable, dark.reason, _standing(bench)) == (False, "unreachable", {UNREACHABLE})
    for _ in range(3):
        back, _ = await bench.check(broken, changing=False)
    assert (back.reachable, back.was_read, back.read, back.reason) == (True, False, first.read, "")
    assert {one.state for one in back.links} == set(back.cells.values()) == {ServiceState.UNKNOWN}
    assert _standing(bench) == set(), "it answers"
    last, _ = await bench.check()
    assert (last.was_read, last.cells, last.links) == (True, first.cells, first.links)
    assert _standing(bench) == set()


def _standing(bench: Bench) -> set[str]:
    return {one.probable_cause for one in bench.store.alarms.page(Page())[1] if one.cleared is None}


@pytest.mark.parametrize("unreachable", [True, False])
async def test_a_fault_that_the_list_has_since_another_time_is_proved_only_where_it_was_read(
    bench: Bench, *, unreachable: bool
) -> None:
    """It may have ended and come again: the first read after the hour begins the rest."""
    before = 20 if unreachable else 10  # the first failed check ends what is known
    assert await _gap(bench, unreachable=unreachable, again=-7) == {before + 10 + 10}


async def test_an_outage_begins_and_ends_when_the_station_says_so(bench: Bench) -> None:
    alarm = await _outage(bench)
    first, last = bench.clock.now() - timedelta(seconds=20), bench.clock.now()
    assert (alarm.seen, alarm.ended) == (first - timedelta(seconds=3.25), last - timedelta(seconds=7.5))
    assert _lost(bench) == {20 + 3.25 - 7.5}


async def test_where_the_list_forgets_what_is_over_the_next_check_ends_an_outage(bench: Bench) -> None:
    assert (await _outage(bench, kept=False)).ended is None
    assert _lost(bench) == {20 + 3.25}


@pytest.mark.parametrize("pause", [30.0, 520.0, 3600.0])
@pytest.mark.parametrize("seen", [0, 1])
async def test_a_link_that_no_two_reads_in_a_row_see_down_is_lost_by_the_times_of_its_station(
    bench: Bench, seen: int, pause: float
) -> None:
    """Once, however often the list shows it, without an alarm; and where nobody looked for an hour, by its proof."""
    link = f"{samples.LTE}/EP_S1C[beta-mme]"
    name = ",".join(f"{kind}={key}" for kind, (key,) in steps(link))
    state = samples.states(samples.PROFILES, bench.observed.tree, [link])
    for _ in range(2):
        await bench.check(replace(bench.observed, records=()))
    raised = bench.clock.now() + timedelta(seconds=2.25)
    stands = AlarmRecord("a-1", name, "", "lossOfSignal", "", PerceivedSeverity.MAJOR, "", raised=raised)
    bench.clock.pause(pause)
    for _ in range(seen):
        await bench.check(replace(bench.observed, state=state, records=(stands,)))
    cleared = bench.clock.now() + timedelta(seconds=5)
    over = replace(stands, severity=PerceivedSeverity.CLEARED, cleared=cleared)
    for records in ((over,), (over, over), (over,), ()):
        await bench.check(replace(bench.observed, records=records))
    assert bench.store.alarms.page(Page()) == (0, [])
    assert _lost(bench) == {(cleared - raised).total_seconds()}
    day = bench.clock.now() - timedelta(days=1), bench.clock.now()
    outages = bench.store.incidents.outages(*day)
    assert outages is not None
    (beta,) = (one for one in bench.net.agreements if one.tenant == "beta")
    owed = outages.agreed_service(beta, *day, day[1])
    assert {(parts.lost, *parts[1:]) for parts in owed.parts.values()} == {(((raised, cleared),), (), (), (), (), ())}
    assert {tuple(by_proof) for by_proof in owed.proofs.values()} == {(Proof.STATION,)}


@pytest.mark.parametrize("off", [-60.0, 60.0, 3e7])
async def test_a_wrong_clock_of_a_station_tells_nothing(bench: Bench, off: float) -> None:
    """What lies outside of the checks before and after can't be: these count."""
    assert (await _outage(bench, off)).ended is None
    assert _lost(bench) == {20}


#: Another station's answer, or one of a server that does not tell anything.
OTHERS = Observed({path.replace("[S1]", "[S9]"): {} for path in samples.carrying(samples.network()).tree})


@pytest.mark.parametrize("told", [Observed({}), OTHERS], ids=["empty", "another"])
async def test_a_station_that_tells_nothing_of_itself_is_unread_and_has_no_outage(bench: Bench, told: Observed) -> None:
    well, _ = await bench.check()
    for _ in range(3):
        health, _ = await bench.check(told)
        assert (health.reachable, health.reason) == (False, NothingToldError.code)
        assert {one.state for one in health.links} == set(health.cells.values()) == {ServiceState.UNKNOWN}
        assert (health.drift, health.missing, health.gone, health.off_air) == (0, (), (), {})
    (alarm,) = bench.store.alarms.standing()
    assert (alarm.probable_cause, alarm.severity) == (UNREACHABLE, PerceivedSeverity.MAJOR)
    assert alarm.text == "the station answers, and tells nothing of itself, so nothing of it was read"
    again, _ = await bench.check()
    assert (again.cells, [one.state for one in again.links]) == (well.cells, [one.state for one in well.links])
    assert [one for one in bench.store.alarms.standing() if one.cleared is None] == []


async def test_a_station_of_which_nothing_is_on_record_may_tell_nothing() -> None:
    """One that is to be brought up carries nothing yet."""

    class Empty(Bench):
        def entries(self) -> Iterable[Any]:
            return ()

    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    health, _ = await Empty(store, clock).check(Observed({}))
    assert health.reachable
    store.close()
