"""10,000 alarms within a minute through the real doors, and what an alarm's correlation costs.

    python -m tests.benchmarks.bench_alarms [--waits] [ALARMS [SECONDS]]
    python -m tests.benchmarks.bench_alarms correlation

The storm: ``peru`` with its 3,100 stations is on record, ``STATIONS`` of them are simulated and adopted. Minka runs in
processes (uvicorn, Celery, scheduler with remediation, listener, two workers) on PostgreSQL and Redis. One tenant's
MMEs fail everywhere: alerts come in messages of up to 20 through Alertmanager's webhook, a tenth of them twice. After
a third of the time the simulated stations lose them too, and the listener finds the roots. Meanwhile core links of
another tenant fail one by one at simulated stations, each told by a message of its own, and each is repaired by a rule
that does not wait, and four alerts a second that no rule answers come of that tenant, each in a message of its own: how
long their answers take. The same without a storm comes first: the quiet figures. Nothing may be lost, and each repair
starts once. CPU of all processes is printed, and how long they were ready to run and had no core: the generator of the
storm and the simulated stations share the machine with Minka.

With ``--waits`` it prints besides where a repair, and those who write, waited (``tests.benchmarks.traced``).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from controller.assurance.common_faults import CommonFaults
from controller.inventory.load import load_network
from controller.models.alarm import (
    CORE_NODE_DOWN,
    Alarm,
    AlarmFilter,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.network import Network, network_digest
from controller.ports.clock import SystemClock
from controller.store import Page, Store, open_store
from tests.chaos.alarm_storm import (
    NO_LIMITS,
    Fault,
    Message,
    WebhookAnswers,
    alarms_of,
    centile,
    let_rules_act,
    link_of_tenant,
    paced,
    repairs_of,
    send,
    storm,
    write_rules,
)
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.process_system import ProcessSystem, process_system, temporary_folder

_NETWORKS = Path(__file__).parents[2] / "deploy" / "networks"
PERU = _NETWORKS / "peru"
#: Simulated stations: half of them fail in the quiet, half in the storm.
STATIONS = 40
#: Ids in one selector, which has an end.
_NAMED = 30
#: Seconds from one of their failures to the next, and from one alert to the next that no rule answers.
APART, _ALERTS_APART = 3.0, 0.25
#: The tenant whose MMEs fail, and another one with the MME that its links lead to.
STRUCK, OTHER, OTHERS_NODE = "movistar", "claro", "mme-lima"
_NODES = ("mme-lima", "mme-arequipa")
#: Seconds within which repairs begin, and how many times as long as alone the other tenant's alarms may take: the aims.
_START_IN, _TIMES = 1.0, 2.0
#: Seconds by which a link is broken before it is told, and between two checks of the listener.
_BEFORE, _CHECK = 0.2, 5
_SEED = 7


def main() -> None:
    """Measure what was asked for."""
    words = [word for word in sys.argv[1:] if word != "--waits"]
    if words == ["correlation"]:
        correlation()
        return
    alarms, seconds = (int(words[0]) if words else 10_000), (float(words[1]) if words[1:] else 60.0)
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server(durable=True))
        folder = stack.enter_context(temporary_folder())
        write_rules(folder / "rules", {"core-link-down": 0}, OTHER)
        settings = {"MINKA_RULES": str(folder / "rules"), "MINKA_HEALTH_INTERVAL": str(_CHECK), **NO_LIMITS}
        network = load_network(PERU)
        names = [one.id for one in network.stations if one.id.startswith("PE-CUS") and one.enb_id is not None][
            :STATIONS
        ]
        made = process_system(folder, "servers", PERU, server, listener=True, only=names, settings=settings)
        system = stack.enter_context(made)
        waits = Waits(system) if "--waits" in sys.argv else None
        _bring_up(system, names)
        others = sorted(network.station_by_id.keys() - set(names))
        quiet = _measure(system, server, names[: STATIONS // 2], others[::2], [], 0)
        _print("quiet", quiet, system)
        struck = _struck(network, alarms, names)
        loud = _measure(system, server, names[STATIONS // 2 :], others[1::2], struck, seconds)
        _print(f"{alarms} in {seconds:g} s", loud, system)
        _judge(quiet, loud)
        if waits is not None:
            waits.print("quiet", quiet)
            waits.print("storm", loud)
    if not words:
        correlation()


# --------------------------------------------------------------------------- storm


class _Measured:
    """What one phase took.

    Attributes:
        answered: Seconds until the answer, for alarms of the other tenant, sorted.
        cpu: What processes used of it meanwhile.
        answers: The same by alarm.
        accepted: When those that are repaired were on record, by alarm.
        started: Seconds from then until the run that repairs is on record, sorted.
        taken: Of all messages.
    """

    def __init__(
        self,
        taken: WebhookAnswers,
        found: Mapping[Fault, Alarm],
        accepted: dict[str, float],
        started: list[float],
        cpu: dict[str, _CpuTime],
    ) -> None:
        self.taken = taken
        self.answers = {found[fault].id: after for fault, after in taken.waited.items() if fault.tenant == OTHER}
        self.answered = sorted(self.answers.values())
        self.accepted = accepted
        self.started = sorted(started)
        self.cpu = cpu


class _CpuTime(NamedTuple):
    """Seconds that a process ran on a core, and that it was ready to and had none."""

    ran: float
    waited: float


def _cpu_times(system: ProcessSystem, server: PostgresServer) -> dict[str, _CpuTime]:
    """What processes used so far."""
    groups = {name: [process.pid] for name, process in system.processes.items()}
    groups |= {"PostgreSQL": server.pids, "generator": [os.getpid()]}
    return {name: _cpu_time_of(pids) for name, pids in groups.items()}


def _cpu_time_of(pids: Iterable[int]) -> _CpuTime:
    """What processes used, and how long their threads waited (proc(5): ``stat``, and ``schedstat`` of each thread)."""
    ticks = waited = 0
    for folder in (Path(f"/proc/{pid}") for pid in pids):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        for thread in folder.glob("task/*/schedstat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                waited += int(thread.read_text(encoding="ascii").split()[1])
    return _CpuTime(ticks / os.sysconf("SC_CLK_TCK"), waited / 1e9)


def _bring_up(system: ProcessSystem, names: list[str]) -> None:
    began = time.perf_counter()
    system.load(PERU)
    let_rules_act(system)
    for start in range(0, len(names), _NAMED):
        part = names[start : start + _NAMED]
        chosen = "|".join(part)
        system.call("POST", "/devices/adopt", {"selector": chosen})
        ended = system.ended(system.apply(system.plan(chosen)), 300)
        assert ended.counts == {"succeeded": len(part)}, ended
    system.until("the listener has checked all", lambda: len(system.store.healths.find()) >= len(names))
    print(f"{len(names)} of 3100 stations carry the network, {time.perf_counter() - began:.0f} s", flush=True)


def _struck(network: Network, count: int, simulated: Collection[str] = ()) -> list[Fault]:
    """Alarms of one tenant's links to its MMEs, then of whatever else there is; of none that the listener sees."""
    faults = []
    for station in sorted(network.station_by_id.keys() - set(simulated)):
        root = f"/ManagedElement[{station}]/ENBFunction[1]"
        for name in _NODES:
            path = f"{root}/EP_S1C[{STRUCK}-{name}]"
            faults.append(Fault(station, "core-link-down", path, STRUCK))
    faults += [Fault(station, "Noise", f"unit-{number}") for number in range(100) for station in network.station_by_id]
    return faults[:count]


def _measure(
    system: ProcessSystem,
    server: PostgresServer,
    stations: list[str],
    unsimulated: list[str],
    struck: list[Fault],
    seconds: float,
) -> _Measured:
    faults = [
        Fault(station, "core-link-down", link_of_tenant(system, station, OTHER, OTHERS_NODE), OTHER)
        for station in stations
    ]
    apart = max(APART, seconds / len(stations))
    breaks = [_Break(apart * at, one.station, f"{OTHER}-{OTHERS_NODE}") for at, one in enumerate(faults)]
    if struck:
        both = product(system.store.healths.find(), _NODES)
        breaks += [_Break(seconds / 3, station, f"{STRUCK}-{node}") for station, node in both]
    others = [replace(one, at=one.at + _BEFORE) for one in paced(faults, apart)]
    count = int(apart * len(stations) / _ALERTS_APART)
    alerts = [Fault(station, "Noise", "alert", OTHER) for station in unsimulated[:count]]
    messages = storm(struck, seconds, random.Random(_SEED)) + others + paced(alerts, _ALERTS_APART)
    before = _cpu_times(system, server)
    taken = asyncio.run(_sent(system, messages, breaks))
    after = _cpu_times(system, server)
    cpu = {name: _CpuTime(one.ran - before[name].ran, one.waited - before[name].waited) for name, one in after.items()}
    found = alarms_of(system, [*struck, *faults, *alerts])
    theirs = [found[fault] for fault in faults]
    system.until("all repairs have started", lambda: all(repairs_of(system, theirs).values()), 300)
    repairs = repairs_of(system, found.values())
    for fault, alarm in found.items():
        assert len(repairs[alarm.id]) == (fault in faults), (fault, repairs[alarm.id])
    accepted = {found[fault].id: min(taken.accepted[fault], _received(system, found[fault])) for fault in faults}
    started = [max(0.0, repairs[alarm][0].at.timestamp() - at) for alarm, at in accepted.items()]
    return _Measured(taken, found, accepted, started, cpu)


def _received(system: ProcessSystem, alarm: Alarm) -> float:
    """When it was told first: the listener may have seen it before."""
    return min(one.received.timestamp() for one in system.store.reports.of_alarm(alarm.id, 100))


@dataclass(frozen=True)
class _Break:
    """A core link that breaks, at so many seconds from the start."""

    at: float
    station: str
    link: str


async def _sent(system: ProcessSystem, messages: Sequence[Message], breaks: Sequence[_Break]) -> WebhookAnswers:
    """Send all, while links break."""

    async def broken(one: _Break) -> None:
        await asyncio.sleep(one.at)
        path, body = f"/stations/{one.station}/links/break", {"link": one.link}
        (await asyncio.to_thread(system.control.post, path, json=body)).raise_for_status()

    sending = asyncio.create_task(send(system, messages))
    await asyncio.gather(*map(broken, breaks))
    return await sending


class Waits:
    """What processes wait for, which begin again for that."""

    def __init__(self, system: ProcessSystem) -> None:
        self._files = {name: system.folder / f"{name}.jsonl" for name in ("api", "scheduler", "listener")}
        for name, file in self._files.items():
            system.stop(name)
            system.commands[name] = ["tests.benchmarks.traced", str(file), name]
            system.start(name)
        system.until("the API answers", system.answers)

    def print(self, title: str, found: _Measured) -> None:
        """Where answers and repairs waited, and who waited for locks."""
        time.sleep(2)  # until it is written
        lines = {name: [json.loads(line) for line in file.open()] for name, file in self._files.items()}
        accepted = found.accepted
        answers = _answers(lines["api"], found)
        print(f"{title}: an answer in ms, half of {len(answers)} and the slowest in twenty on average")
        for name in answers[0]:
            slow = [one[name] for one in answers[-len(answers) // 20 :]]
            print(
                f"    {name:<34} {centile([one[name] for one in answers], 50) * 1000:8.1f} "
                f"{statistics.fmean(slow) * 1000:8.1f}"
            )
        stages = [_stages(lines["scheduler"], alarm, at) for alarm, at in accepted.items()]
        print(f"{title}: a repair, p50 and p99")
        for name in stages[0]:
            values = [one[name] for one in stages]
            print(f"    {name:<34} {centile(values, 50):8.3f} {centile(values, 99):8.3f}")
        begin, end = min(accepted.values()), max(accepted.values())
        print(f"{title}: waits for locks, number, seconds in all, longest")
        for name, lock in product(lines, ("alarms", "audit", "repairs")):
            held = (one for one in lines[name] if one.get("name") == lock and begin <= one["begin"] <= end)
            waits = [one["end"] - one["begin"] for one in held]
            print(f"    {name} for {lock:<20} {len(waits):6} {sum(waits):8.3f} {max(waits, default=0):8.3f}")


def _answers(lines: Sequence[Mapping[str, Any]], found: _Measured) -> list[dict[str, float]]:
    """Seconds of each stage of answers to the other tenant's alarms, the slowest answer last."""
    by_what: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        by_what[line["what"]].append(line)
    reports = {one["alarm"]: one for one in by_what["report"] if one["alarm"]}
    stages = []
    for alarm, seconds in found.answers.items():
        report = reports[alarm]
        taken = next(one for one in by_what["transaction"] if report["begin"] <= one["end"] <= report["end"] + 0.001)

        def within(what: str, name: str = "", taken: Mapping[str, Any] = taken) -> float:
            some = (one for one in by_what[what] if taken["begin"] <= one["begin"] and one["end"] <= taken["end"])
            return float(sum(one["end"] - one["begin"] for one in some if one.get("name", "") == name))

        parts = {
            "before and after its report": seconds - (report["end"] - report["begin"]),
            "until its transaction begins": max(0.0, taken["begin"] - report["begin"]),
            "the lock of alarms": within("lock", "alarms"),
            "the lock of the audit trail": within("lock", "audit"),
            "the commit": within("commit"),
        }
        rest = taken["end"] - taken["begin"] - sum(list(parts.values())[2:])
        more = {"the rest of the transaction": rest, "its reports (thousands)": taken["reports"] / 1000}
        stages.append(parts | more | {"in all": seconds})
    return sorted(stages, key=lambda one: one["in all"])


def _stages(lines: Sequence[Mapping[str, Any]], alarm: str, accepted: float) -> dict[str, float]:
    """Seconds of each stage from when an alarm was accepted until its repair began."""
    own = [one for one in lines if one["alarm"] == alarm]
    end = min(one["end"] for one in own if one["what"] == "accept")
    begin = min(one["begin"] for one in own if one["what"] == "attend")
    calls = [one for one in own if one["what"] == "call" and one["end"] <= end]
    checks = [one for one in own if one["what"] == "check" and one["end"] <= end]
    return {
        "until it is checked": begin - accepted,
        "calls of the store (number)": len(calls),
        "their waiting for their turn": sum(one["begun"] - one["begin"] for one in calls),
        "their being carried out": sum(one["end"] - one["begun"] for one in calls),
        "looking at the station": sum(one["end"] - one["begin"] for one in checks),
        "in all": end - accepted,
    }


def _print(title: str, found: _Measured, system: ProcessSystem) -> None:
    def line(what: str, values: list[float]) -> str:
        return f"{what} p50 {centile(values, 50) * 1000:6.0f} ms  p99 {centile(values, 99) * 1000:6.0f} ms"

    said = line("accepted after", found.answered), line("repair started", found.started)
    print(f"{title:<20} {'; '.join(said)}; {len(found.taken.accepted)} alarms", flush=True)
    others = {status: count for status, count in found.taken.answers.items() if status != 200}
    memory = ", ".join(f"{name} {_peak(process.pid)} MB" for name, process in system.processes.items())
    print(f"{'':<20} peak memory: {memory}; other answers than 200: {others or 'none'}", flush=True)
    used = ", ".join(f"{name} {one.ran:.1f} + {one.waited:.1f} s" for name, one in found.cpu.items())
    print(f"{'':<20} on a core + waiting for one: {used}", flush=True)


def _judge(quiet: _Measured, loud: _Measured) -> None:
    """Say which aims were met; a busy machine misses them by itself, so nothing is asserted."""
    start = centile(loud.started, 99)
    print(f"{'aims':<20} a repair starts within {_START_IN:g} s (p99): {_met(start, _START_IN)} ({start:.3f} s)")
    for what, one, other in (
        ("accepted", loud.answered, quiet.answered),
        ("repair started", loud.started, quiet.started),
    ):
        times = {per_cent: centile(one, per_cent) / centile(other, per_cent) for per_cent in (50, 99)}
        said = ", ".join(f"p{at}: {_met(value, _TIMES)} ({value:.1f} times)" for at, value in times.items())
        print(f"{'':<20} {what} within {_TIMES:g} times the quiet time, {said}", flush=True)


def _met(value: float, aim: float) -> str:
    return "met" if value <= aim else "missed"


def _peak(pid: int) -> int:
    """Highest memory of a process so far, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


# --------------------------------------------------------------------- correlation


def correlation() -> None:
    """What a new alarm costs in CPU, by the size of the network, beside 10,000 others that stand."""
    with tempfile.TemporaryDirectory() as folder:
        _generate(Path(folder) / "large")
        for path in (PERU, Path(folder) / "large"):
            _correlate(load_network(path), Path(folder) / f"{path.name}.sqlite3")


def _generate(folder: Path) -> None:
    localities = str(_NETWORKS / "peru-localities.csv")
    words = ["--stations", "31000", "--seed", "716", "--localities", localities, str(folder)]
    subprocess.run([sys.executable, "-m", "simulators.generate", *words], check=True, stdout=subprocess.DEVNULL)


def _correlate(network: Network, file: Path) -> None:
    clock = SystemClock()
    store = open_store(f"sqlite:///{file}", clock)
    store.networks.save(network, network_digest(network), "bench")
    faults = _struck(network, 20_000)
    mixed = random.Random(_SEED).sample(faults, len(faults))
    store.alarms.report_all([_told(fault) for fault in mixed[:10_000]])
    news, more = mixed[10_000:10_200], mixed[10_200:10_400]
    alone = _each(store, news)
    root, rest = _timed(lambda: store.alarms.report(_root(_NODES[0]))), _timed(lambda: _place_all(store))
    below = _each(store, more)
    look = _look(network)
    struck = store.alarms.page(Page(), None, AlarmFilter(causes=(CORE_NODE_DOWN,)))[1][0].incident
    known = len(store.incidents.open())
    first = _timed(store.incidents.ranks)
    rank, minutes = _timed(store.incidents.ranks), _timed(lambda: store.incidents.minutes(struck))
    page, story = _timed(lambda: store.incidents.page(Page())), _timed(lambda: store.incidents.timeline(struck))
    store.close()
    print(
        f"{len(network.stations):>6} stations: an alarm without a root {alone:5.2f} ms, below one {below:5.2f} ms; "
        f"a root of {sum(_NODES[0] in fault.object for fault in mixed[:10_200])} {root * 1000:5.0f} ms, "
        f"what follows from it {rest * 1000:5.0f} ms; "
        f"a look at a device {look:5.3f} ms",
        flush=True,
    )
    print(
        f"{'':>6} {known} open incidents: to rank all {rank * 1000:5.0f} ms, "
        f"once a minute {first * 1000:5.0f} ms, a page of 100 {page * 1000:4.0f} ms; "
        f"of the largest its minutes {minutes * 1000:5.0f} ms, its timeline {story * 1000:4.0f} ms",
        flush=True,
    )


def _place_all(store: Store) -> None:
    while store.alarms.correlate_more():
        pass


def _told(fault: Fault) -> AlarmReport:
    return _root("").model_copy(
        update={
            "station": fault.station,
            "object": fault.object,
            "object_class": ObjectClass.CORE_LINK,
            "tenant": fault.tenant,
            "probable_cause": fault.cause,
        }
    )


def _root(name: str) -> AlarmReport:
    return AlarmReport(
        station="",
        object=f"{STRUCK}-{name}",
        object_class=ObjectClass.CORE_NODE,
        tenant=STRUCK,
        probable_cause=CORE_NODE_DOWN,
        severity=PerceivedSeverity.CRITICAL,
        text="",
        source=AlarmSource.CHECK,
        at=SystemClock().now(),
    )


def _each(store: Store, faults: Iterable[Fault]) -> float:
    """Milliseconds of CPU that each of these reports takes."""
    reports = [_told(fault) for fault in faults]
    return _timed(lambda: [store.alarms.report(report) for report in reports]) / len(reports) * 1000


def _timed(work: Callable[[], object]) -> float:
    """Seconds of CPU, those of the database within."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _look(network: Network) -> float:
    """Milliseconds to take in a look at a device and say what is wrong, while a core node is lost everywhere."""
    common, at, standing = CommonFaults(), SystemClock().now(), list[Alarm]()
    common.follow(list(network.station_by_id))
    checks = {station: _lost(station, at) for station in network.station_by_id}
    for health in checks.values():
        common.take(network, health, health)
    chosen = random.Random(_SEED).sample(list(checks.values()), 100)

    def work() -> None:
        for health in chosen:
            common.take(network, health, health.model_copy(update={"at": at + timedelta(seconds=1)}))
            list(common.reports(network, standing, at))

    return _timed(work) / len(chosen) * 1000


def _lost(station: str, at: datetime) -> Health:
    path = f"/ManagedElement[{station}]/ENBFunction[1]/EP_S1U[{{}}]"
    links = (
        LinkHealth(path=path.format(f"{STRUCK}-s1u"), tenant=STRUCK, kind="S1U", state=ServiceState.DOWN),
        LinkHealth(path=path.format(f"{OTHER}-s1u"), tenant=OTHER, kind="S1U", state=ServiceState.UP),
    )
    return Health(station=station, at=at, reachable=True, links=links)


if __name__ == "__main__":
    main()
