"""A tenant that looks again and again learns nothing of others from when, and how often, what it is told changes.

Two worlds are played in virtual time. In both, the same happens to alfa, and alfa looks again and again. In one of
them things happen to beta too, and the host acts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from controller.access.disclosure import TenantAlarm, TenantStation
from controller.api.routes import alarms, incidents
from controller.api.services import Services
from controller.api.sse import follow
from controller.api.statements import draft
from controller.api.views import HostView, TenantView
from controller.assurance.checker import Checker
from controller.drivers.fake import FakeDevices
from controller.drivers.registry import target_of
from controller.intent.impact import OF_MANAGEMENT
from controller.listener.checks import Checks
from controller.models.alarm import (
    CELL_OFF_AIR,
    NODE_LOST,
    PORT_DOWN,
    Alarm,
    AlarmFilter,
    AlarmNote,
    AlarmReport,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.health import Health
from controller.models.incident import IncidentFilter, IncidentState
from controller.models.network import Network, Router, network_digest
from controller.models.plan import Edit, Op
from controller.models.run import Outcome
from controller.models.settings import Settings
from controller.models.statement import StatementKind
from controller.nrm.profiles import cell_of, links, root_spec
from controller.nrm.tree import Leaves, class_of
from controller.observe.exposition import EVERYTHING, exposition
from controller.plan import ledger_nodes
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.runs.planning.importer import Importer
from controller.runs.planning.planner import Planner
from controller.store import Claim, JobResult, Page, open_store
from tests.security.tenants_bench import HOST_KEY, KPIS, STATIONS, Private, network
from tests.support.quick_stores import DirectStore
from tests.support.records import make_entry, start_run
from tests.unit.plan import samples

#: Two worlds take a few seconds of the processor, and on a busy machine minutes.
#: Seconds between two checks of a station, two rounds, two looks of a tenant at stations, and two at everything.
INTERVAL, ROUND, LOOK, WHOLE_LOOK = 30.0, 0.5, 1.0, 5.0
_EVERY = Page(limit=1000)
_STATES = (IncidentState.OPEN, IncidentState.CLOSED)
#: Ids that the record makes up at random.
_ID = re.compile(r"\b[a-z]-[0-9a-f]{10}\b")


class World:
    """Both stations, which are checked, and what alfa is told of them, who shares some cells."""

    def __init__(self, home: Path, shared: Sequence[str] = ("S1/L1",)) -> None:
        self.clock = VirtualClock()
        self.began = self.clock.monotonic()
        self.store = open_store("sqlite://", self.clock)
        self.devices = FakeDevices(self.clock)
        loop_store = cast("Any", DirectStore(self.store))
        planner = Planner(loop_store, self.devices, self.clock, target_of)
        self.services = Services(
            settings=Settings(home=home),
            store=self.store,
            devices=self.devices,
            planner=planner,
            importer=Importer(loop_store, self.devices, self.clock),
            wakeups=FakeWakeups(),
            clock=self.clock,
            exposition=partial(exposition, self.store, self.clock, kpis=KPIS),
        )
        checker = Checker(loop_store, planner, self.clock, frozenset(AlarmSource))
        self.checks = Checks(loop_store, checker, self.clock, INTERVAL)
        net = shared_by_alfa(network(Private(functions=1), alfas_max=70, applied=True), *shared)
        self.network = net
        self.store.networks.save(net, network_digest(net), "ana")
        self.links: dict[str, str] = {}
        self.every_link = set[str]()
        #: The entry of each tenant's PLMN in the first cell of the first station.
        self.plmns: dict[str, str] = {}
        for station in STATIONS:
            rendered = samples.rendered(net, station)
            nodes = list(ledger_nodes(root_spec(samples.PROFILES), rendered))
            self.store.devices.adopt(station, nodes, network_digest(net), "ana")
            self.devices.add(station, samples.PROFILES, samples.carrying(net, station).tree)
            if station == "S1":
                entries = ((path, owners) for path, owners in rendered.owners.items() if class_of(path) == "plmnIdList")
                self.plmns = {owners[0]: path for path, owners in entries if cell_of(path) == "L1"}
                self.every_link = {one.path for one in links(rendered.tree)}
                self.links = {
                    rendered.owners[one.path][0]: one.path for one in links(rendered.tree) if one.kind == "S1C"
                }
        self.alfa, self.host = TenantView(self.services, "alfa"), HostView(self.services)
        self.checks.follow(STATIONS)
        #: All that alfa was told, look by look, and the events that it got, each with its time.
        self.told: list[dict[str, str]] = []
        self.events: list[tuple[float, str]] = []
        self.hosts: dict[str, str] = {}
        self.claim: Claim

    def now(self) -> float:
        """Seconds since the beginning."""
        return self.clock.monotonic() - self.began

    async def play(self, seconds: float, acts: Sequence[tuple[float, Callable[[World], object]]]) -> None:
        """Let time pass, with acts at their times."""
        streams = [asyncio.create_task(self._follow(one)) for one in (alarms, incidents)]
        waiting = sorted(acts, key=lambda act: act[0])
        while self.now() < seconds:
            while waiting and waiting[0][0] <= self.now():
                waiting.pop(0)[1](self)
            await self.checks.begin()
            await self.clock.advance(ROUND)
            await self.checks.record()
            self.store.notices.write()
            if self.now() % LOOK == 0:
                self.told.append(self._look(self.alfa, whole=self.now() % WHOLE_LOOK == 0))
        self.hosts = self._look(self.host, whole=True)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        await self.checks.close()

    def _look(self, view: Any, *, whole: bool) -> dict[str, str]:
        """What changes as time goes by, as text."""
        found = {"devices": _text(view.stations(["S1"]))}
        return found | {what: _text(one) for what, one in self._rest(view)} if whole else found

    def _rest(self, view: Any) -> Iterator[tuple[str, object]]:
        since = self.clock.now() - timedelta(seconds=5)
        yield "functions", view.functions(["GW-A"])
        yield "metrics", view.metrics(EVERYTHING).decode()
        yield "alarms", view.alarms(_EVERY)
        yield "alarms since", view.alarms(_EVERY, AlarmFilter(since=since))
        total, found = view.incidents(_EVERY, IncidentFilter(states=_STATES))
        yield "incidents", (total, found)
        yield "incidents since", view.incidents(_EVERY, IncidentFilter(states=_STATES, since=since))
        yield "reports", [view.report(one.id) for one in found]
        yield "notices", view.notices(_EVERY)

    async def _follow(self, of: Any) -> None:
        async for piece in follow(self, "", partial(of._events, self.alfa), nullcontext):
            self.events.append((self.now(), piece))

    async def shared(self, _what: str, read: Callable[[], Any]) -> Any:
        """See ``SharesReadings``."""
        return read()

    def of(self, tenant: str) -> Alarm:
        """The alarm about a tenant's link."""
        return next(one for one in self.store.alarms.standing(["S1"]) if one.object == self.links[tenant])


def shared_by_alfa(net: Network, *cells: str) -> Network:
    """The network where alfa shares these cells; without its agreement if there are none."""
    (his,) = (one for one in net.agreements if one.tenant == "alfa")
    others = tuple(one for one in net.agreements if one.tenant != "alfa")
    now = [his.model_copy(update={"scope": type(his.scope)(cells=cells)})] if cells else []
    sites = tuple(one.model_copy(update={"population": 340}) for one in net.sites)
    router = Router(id="R1", site=net.site_of("S1"), address="192.0.2.77", host_key=HOST_KEY)
    return net.model_copy(update={"agreements": (*now, *others), "sites": sites, "routers": (router,)})


def shares(*cells: str) -> Callable[[World], None]:
    """From now on alfa shares these cells."""

    def act(world: World) -> None:
        net = shared_by_alfa(world.network, *cells)
        world.store.networks.save(net, network_digest(net), "ana")

    return act


def _text(found: object) -> str:
    if isinstance(found, BaseModel):
        return found.model_dump_json()
    if isinstance(found, list | tuple):
        return "\n".join(map(_text, found))
    return str(found)


def _numbered(texts: Sequence[str]) -> list[str]:
    known: dict[str, str] = {}
    return [_ID.sub(lambda one: known.setdefault(one[0], f"{one[0][0]}#{len(known)}"), text) for text in texts]


def breaks(tenant: str, *, notified: bool = True) -> Callable[[World], None]:
    """A tenant's link at the first station breaks."""

    def act(world: World) -> None:
        world.devices["S1"].broken_links.add(world.links[tenant])
        if notified:
            world.checks.poke("S1")

    return act


def mends(tenant: str) -> Callable[[World], None]:
    """It comes back."""

    def act(world: World) -> None:
        world.devices["S1"].broken_links.discard(world.links[tenant])
        world.checks.poke("S1")

    return act


def reports(
    managed_object: str,
    kind: ObjectClass,
    cause: str,
    words: str,
    severity: str = "MAJOR",
    source: AlarmSource | None = None,
    station: str = "",
    **more: Any,
) -> Callable[[World], None]:
    """Somebody reports a fault that several tenants share."""
    source = source or (AlarmSource.ALERTMANAGER if kind is ObjectClass.CELL else AlarmSource.CHECK)
    there = station or ("edge" if kind is ObjectClass.NODE else managed_object.partition("/")[0])

    def act(world: World) -> None:
        world.store.alarms.report(
            AlarmReport(
                station=there,
                object=managed_object,
                object_class=kind,
                probable_cause=cause,
                severity=PerceivedSeverity(severity),
                text=words,
                source=source,
                at=world.clock.now(),
                **more,
            )
        )

    return act


def fails(words: str, severity: str = "MAJOR") -> Callable[[World], None]:
    """The shared cell serves badly, as somebody says in words."""
    return reports("S1/L1", ObjectClass.CELL, "cell-degraded", words, severity)


def loses(*functions: str) -> Callable[[World], None]:
    """Functions on a lost node."""
    return reports("edge-node-1", ObjectClass.NODE, NODE_LOST, f"lost with {functions}", functions=functions)


#: What happens, and when.
_Acts = list[tuple[float, Callable[[World], object]]]
#: What happens to alfa, in both worlds.
ALFAS: _Acts = [(5.0, breaks("alfa")), (6.0, fails("slow")), (7.0, loses("GW-A")), (72.0, mends("alfa"))]


def works_on_the_station(world: World) -> None:
    """A job begins to change the station, for others than alfa."""
    start_run(world.store, ["S1"])
    (world.claim,) = world.store.claims.take(world.store.processes.register("w"), 1)
    world.store.journal.append(make_entry(world.claim, 0), world.claim)


def is_done(world: World) -> None:
    """The job ends."""
    world.store.claims.finish(world.claim, JobResult(Outcome.SUCCEEDED))


def takes_the_incident(world: World) -> None:
    """Somebody at the host takes the incident, which is acknowledged by that."""
    world.store.incidents.take(world.of("alfa").incident, "ana")


def shelves(world: World) -> None:
    """The host shelves alfa's alarm, and says why to its own people."""
    alarm = world.of("alfa")
    world.store.alarms.shelve(alarm.id, world.clock.now() + timedelta(hours=1), "ana", "beta's crew is there")
    world.store.comments.add(alarm.id, "ana", "host", "beta's crew is there")


def unshelves(world: World) -> None:
    """It comes back."""
    world.store.alarms.unshelve(world.of("alfa").id, "ana", "they left")


def notes(words: str) -> Callable[[World], object]:
    """A rule notes at every alarm why it waits."""
    return lambda world: world.store.alarms.note(
        [(one, AlarmNote.waiting(words)) for one in world.store.alarms.standing()], actor="rule", patient=True
    )


def repairs(world: World) -> None:
    """The repair of beta's link begins, so that the station is looked at often."""
    world.store.alarms.move(world.of("beta"), AlarmState.REPAIRING, actor="rule", note="beta's turn")


OTHERS: dict[str, _Acts] = {
    "beta's link breaks and comes back": [(17.5, breaks("beta")), (24.0, mends("beta"))],
    "beta's link breaks unsaid": [(17.5, breaks("beta", notified=False)), (44.0, mends("beta"))],
    "beta's link breaks before": [(1.0, breaks("beta")), (44.0, mends("beta"))],
    "beta's link is repaired": [(17.5, breaks("beta")), (21.5, repairs), (51.0, mends("beta"))],
    "a job changes the station": [(28.5, works_on_the_station), (37.0, is_done)],
    "rules note": [(8.0, notes("beta")), (23.0, notes("gamma"))],
    "the host shelves": [(21.0, shelves), (41.0, unshelves)],
    "words of others": [(31.0, fails("beta's customers complain")), (43.0, fails("beta's customers wait"))],
    "more of others": [(31.0, loses("GW-A", "GW-B0")), (47.0, loses("GW-A"))],
}


async def played(
    home: Path, acts: Sequence[tuple[float, Callable[[World], object]]], shared: Sequence[str] = ("S1/L1",)
) -> World:
    world = World(home, shared)
    with closing(world.store):
        await world.play(110.0, acts)
    return world


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(played(tmp_path_factory.mktemp("quiet"), ALFAS))


@pytest.mark.parametrize("what", OTHERS)
def test_nothing_that_happens_to_others_moves_what_a_tenant_is_told(quiet: World, tmp_path: Path, what: str) -> None:
    eventful = asyncio.run(played(tmp_path, [*ALFAS, *OTHERS[what]]))
    told_alike(quiet, eventful)
    assert quiet.hosts != eventful.hosts, "nothing happened"


def told_alike(quiet: World, eventful: World) -> None:
    """Alfa was told the same in both worlds at each moment."""
    for of in quiet.hosts:
        first, second = (_numbered([look[of] for look in world.told if of in look]) for world in (quiet, eventful))
        assert first == second, of
    said, told = (_numbered([f"{at} {event}" for at, event in world.events]) for world in (quiet, eventful))
    assert said == told


def test_a_tenant_is_told_what_happens_to_it(quiet: World) -> None:
    """The test above would prove nothing if nothing changed."""
    seen = {of: len({look[of] for look in quiet.told if of in look}) for of in quiet.hosts}
    assert all(count >= 2 for of, count in seen.items() if of != "functions"), seen
    assert len(quiet.events) >= 4


def test_a_check_is_told_by_its_turn(quiet: World) -> None:
    """Whatever else Minka looks for: the time moves at its turns, half an interval later, and at no other time."""
    times = [TenantStation.model_validate_json(look["devices"]).health for look in quiet.told]
    moved = [health.at for health in times if health is not None]
    assert len(set(moved)) == 4


def lacks(tenant: str) -> Callable[[World], None]:
    """Somebody deletes a tenant's PLMN in the shared cell: the station drifts."""

    def act(world: World) -> None:
        _edits(world, Op.DELETE, world.plmns[tenant], {})

    return act


def has(tenant: str) -> Callable[[World], None]:
    """It is put back."""

    def act(world: World) -> None:
        path = world.plmns[tenant]
        _edits(world, Op.CREATE, path, samples.carrying(world.network).tree[path])

    return act


def _edits(world: World, op: Op, path: str, after: Leaves) -> None:
    world.devices["S1"].foreign_edit([Edit(op=op, path=path, before={}, after=after, owners=())])
    world.checks.poke("S1")


def takes_the_root(world: World) -> None:
    """Somebody at the host takes the incident of a root that the host alone is told of."""
    (root,) = (one for one in world.store.alarms.standing() if one.probable_cause in OF_MANAGEMENT)
    world.store.incidents.take(root.incident, "ana")


_PORT = partial(reports, "/Router[R1]/Port[up0]", ObjectClass.PORT, PORT_DOWN, station="R1")


def cuts_off(world: World) -> None:
    """The station loses all core links."""
    world.devices["S1"].broken_links |= world.every_link
    world.checks.poke("S1")


def joins(world: World) -> None:
    """They come back."""
    world.devices["S1"].broken_links.clear()
    world.checks.poke("S1")


#: What happens to alfa, and what happens beside: roots of alfa's alarms, of which the host alone is told.
HIDDEN: dict[str, tuple[_Acts, _Acts]] = {
    "the station drifts, as people know": (
        [(22.0, lacks("alfa")), (61.0, has("alfa"))],
        [(2.0, lacks("beta")), (8.0, takes_the_root), (93.0, has("beta"))],
    ),
    "a port is down, as people know": (
        [(22.0, cuts_off), (83.0, joins)],
        [(21.0, _PORT("no signal")), (21.5, takes_the_root), (93.0, _PORT("well", "CLEARED"))],
    ),
    "a port is down later, and comes back": (
        [(3.0, cuts_off), (83.0, joins)],
        [(34.0, _PORT("no signal")), (35.0, takes_the_root), (62.0, _PORT("well", "CLEARED"))],
    ),
}


@pytest.mark.parametrize("what", HIDDEN)
def test_no_root_that_a_tenant_is_not_told_of_shows_in_its_incidents(tmp_path: Path, what: str) -> None:
    its_own, beside = HIDDEN[what]
    quiet, eventful = (asyncio.run(played(tmp_path, acts)) for acts in (its_own, [*its_own, *beside]))
    told_alike(quiet, eventful)
    assert quiet.hosts["incidents"] != eventful.hosts["incidents"], "nothing happened"
    for world in (quiet, eventful):
        incidents, told = (
            {name for look in world.told for name in re.findall(rf"\b{kind}-([0-9a-f]{{10}})\b", look.get(of, ""))}
            for kind, of in (("i", "incidents"), ("a", "alarms"))
        )
        assert incidents, "alfa is told of one"
        assert incidents <= told, "the id of an incident is that of an alarm that alfa is told of"


#: Cells of which alfa leaves the second, and faults there: one is over before, one stands, one takes both stations.
_BOTH = ("S1/L1", "S2/L1")
LOST = 13.0
LEFT: _Acts = [
    (3.0, reports("S2/L1", ObjectClass.CELL, "cell-degraded", "slow")),
    (9.0, reports("S2/L1", ObjectClass.CELL, "cell-degraded", "well", "CLEARED")),
    (11.0, reports("S2/L1", ObjectClass.CELL, CELL_OFF_AIR, "off air")),
    (12.0, reports("S1/L1", ObjectClass.CELL, CELL_OFF_AIR, "off air")),
    (LOST, loses("GW-A")),
    (40.0, shares("S1/L1")),
]


def of_station(world: World, station: str) -> Alarm:
    """The alarm that stands at a station."""
    return next(iter(world.store.alarms.standing([station])))


def moves(state: AlarmState) -> Callable[[World], object]:
    """What becomes of the alarm at the station that alfa left."""
    return lambda world: world.store.alarms.move(of_station(world, "S2"), state, actor="rule")


#: What happens there once alfa has left.
LATER: _Acts = [
    (41.0, reports("S2/L1", ObjectClass.CELL, CELL_OFF_AIR, "worse", "CRITICAL")),
    (46.0, moves(AlarmState.REPAIRING)),
    (47.0, reports("S2/L1", ObjectClass.CELL, "cell-degraded", "slow again")),
    (57.0, reports("S2/L1", ObjectClass.CELL, CELL_OFF_AIR, "on air", "CLEARED")),
    (61.0, reports("S2/L1", ObjectClass.CELL, CELL_OFF_AIR, "off air")),
    (62.0, lambda world: world.checks.poke("S2")),
    (71.0, reports("S2/L1", ObjectClass.CELL, CELL_OFF_AIR, "on air", "CLEARED")),
]


def test_nothing_that_happens_where_a_tenant_left_moves_what_it_is_told(tmp_path: Path) -> None:
    quiet, eventful = (asyncio.run(played(tmp_path, acts, _BOTH)) for acts in (LEFT, [*LEFT, *LATER]))
    told_alike(quiet, eventful)
    assert quiet.hosts["alarms"] != eventful.hosts["alarms"], "nothing happened"


async def test_a_tenant_that_left_a_cell_keeps_what_it_was_told(tmp_path: Path) -> None:
    """Each alarm and incident as it was when it left, with the cells and people of that time."""
    world = World(tmp_path, _BOTH)
    with closing(world.store) as store:
        found: list[dict[str, TenantAlarm]] = []
        people: list[dict[str, tuple[int, int]]] = []

        def look() -> None:
            alarms = world.alfa.alarms(_EVERY)[1]
            assert [world.alfa.alarm(one.id) for one in alarms] == alarms
            found.append({one.id: one for one in alarms})
            incidents = world.alfa.incidents(_EVERY, IncidentFilter(states=_STATES))[1]
            assert [world.alfa.incident(one.id).people for one in incidents] == [one.people for one in incidents]
            people.append({one.id: (len(one.cells), one.people) for one in incidents})

        for at, act in (one for one in LEFT if one[0] != LOST):
            await world.clock.advance(at - world.now())
            look()
            act(world)
        look()
        before, after = found[-2], found[-1]
        assert after.keys() == before.keys()
        (left,) = (name for name in after if after[name] != before[name] and after[name].until)
        now = world.clock.now()
        assert after[left] == before[left].model_copy(update={"until": now, "changed": now})
        assert (after[left].station, after[left].cells) == ("S2", ("S2/L1",))
        assert people[-1] == people[-2]
        assert set(people[-1].values()) == {(1, 340)}
        # Neither what happens then, nor that it leaves the rest too, takes anything of that away.
        for at, act in LATER:
            await world.clock.advance(at - world.now())
            act(world)
        shares()(world)
        look()
        assert found[-1][left] == after[left]
        assert people[-1] == people[-2]
        assert world.alfa.network()[1].cells == ()
        known = store.alarms.get(left)
        assert (known.cleared is None, known.severity) != (after[left].cleared is None, after[left].severity)
        # It comes back: what stands is told as it is, what is over stays as it was.
        shares(*_BOTH)(world)
        look()
        assert found[-1][left] == after[left]
        standing = {one.id for one in store.alarms.standing(["S1"])}
        assert all(found[-1][name].until is None for name in standing & found[-1].keys())


async def test_a_tenant_that_left_is_told_of_its_incidents_as_before(tmp_path: Path) -> None:
    world = World(tmp_path)
    with closing(world.store) as store:
        await world.clock.advance(86_400)
        reports("S1/L1", ObjectClass.CELL, CELL_OFF_AIR, "off air", source=AlarmSource.CHECK)(world)
        for _ in range(10):  # nothing is stated for times in which nobody looked
            store.healths.save([Health(station="S1", at=world.clock.now(), reachable=True)])
            await world.clock.advance(60)
        reports("S1/L1", ObjectClass.CELL, CELL_OFF_AIR, "on air", "CLEARED", AlarmSource.CHECK)(world)

        def told() -> tuple[list[tuple[str, tuple[str, ...]]], list[object]]:
            _, found = world.alfa.incidents(_EVERY, IncidentFilter(states=_STATES))
            stories = [world.alfa.incident(one.id) for one in found]
            alarms = [alarm for one in stories for alarm in one.alarms]
            assert world.alfa.alarms(_EVERY)[1] == alarms
            month = draft(store, world.clock.now(), StatementKind.SLA, "alfa", "2026-01")
            (sheet,) = (sheet for sheet in month.sheets if sheet.name == "incidents")
            cells = [one.name for one in sheet.columns].index("cells")
            named = [(one.station, one.cells) for one in (*alarms, *(one.root for one in stories))]
            return named, [row[cells] for row in sheet.rows]

        before = told()
        assert before == ([("S1", ("S1/L1",))] * 2, [1])
        for cells in (("S2/L1",), ()):  # it leaves this cell, and then all
            shares(*cells)(world)
            assert [one.name for one in world.alfa.network()[1].cells] == list(cells)
            assert told() == before
