"""Probes: of the API itself, and of every role."""

from __future__ import annotations

from controller.models.process import ProcessRole
from tests.unit.api.bench import ApiBench

PATH = "/readyz"


async def test_the_probe_tells_how_many_of_each_role_do_their_work(bench: ApiBench) -> None:
    bench.store.processes.register("w", ProcessRole.WORKER)
    bench.store.processes.heartbeat(bench.store.processes.register("l", ProcessRole.LISTENER), late="follow")
    answer = await bench.anonymous.get(PATH)
    assert answer.status_code == 200
    counts = {"api": 0, "worker": 1, "listener": 0, "scheduler": 0}
    assert answer.json() == {"status": "ready", "record": "trusted", "processes": counts}


async def test_a_role_is_ready_if_one_of_it_is_and_an_instance_if_it_is(bench: ApiBench) -> None:
    scheduler = bench.store.processes.register("one", ProcessRole.SCHEDULER)
    assert (await bench.anonymous.get(PATH, params={"role": "scheduler"})).is_success
    assert (await bench.anonymous.get(PATH, params={"role": "scheduler", "instance": "one"})).is_success
    other = await bench.anonymous.get(PATH, params={"role": "scheduler", "instance": "two"})
    assert (other.status_code, other.json()["detail"]) == (503, "no scheduler two sends heartbeats")
    assert other.json()["type"] == "urn:minka:error:not-ready"
    bench.store.processes.heartbeat(scheduler, late="remediation")
    late = await bench.anonymous.get(PATH, params={"role": "scheduler"})
    assert late.status_code == 503
    assert late.json()["detail"] == "the scheduler sends heartbeats, but its rounds fail: remediation"
    assert bench.store.processes.declare_dead(scheduler, 1)
    assert (await bench.anonymous.get(PATH, params={"role": "scheduler"})).status_code == 503
    assert (await bench.anonymous.get(PATH, params={"role": "cook"})).status_code == 422
