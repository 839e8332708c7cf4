"""All rows of the audit trail that concern a device, and no others, for the host and for a tenant."""

from __future__ import annotations

from datetime import timedelta

from controller.access.disclosure import VISIBLE_ACTS
from controller.models.alarm import AlarmReport, ObjectClass, PerceivedSeverity
from controller.models.people import Person, Role
from controller.models.run import AuditRow, Outcome
from controller.ports.clock import VirtualClock
from controller.store import AuditQuery, JobResult, Page, Store
from controller.store.jobs.involvement import note_run
from tests.support.records import make_network, start_run

PAGE = Page(limit=1000)
#: S1 is the beginning of S10, and shares a run, a site and a worker with it.
ONE, OTHER = "S1", "S10"


def trail(store: Store, device: str, *places: str) -> list[tuple[str, str]]:
    total, rows = store.audit.page(PAGE, AuditQuery(device=device, places=places))
    assert total == len(rows)
    return _acts(rows)


def _acts(rows: list[AuditRow]) -> list[tuple[str, str]]:
    return [(row.action, row.object) for row in reversed(rows)]


def _report(station: str, severity: PerceivedSeverity = PerceivedSeverity.MAJOR) -> AlarmReport:
    return AlarmReport(
        station=station,
        object="station",
        object_class=ObjectClass.STATION,
        tenant="entel",
        probable_cause="power-problem",
        severity=severity,
        source="check",
        at=VirtualClock().now(),
    )


def test_a_device_has_all_rows_that_are_about_it_and_no_others(store: Store, clock: VirtualClock) -> None:
    store.audit.append("ana", "network.ways", "peru", {"devices": "the ways to two of them"}, (ONE, "S3"))
    store.audit.append("ana", "network.ways", "peru", {"devices": f"{OTHER} 10.0.0.9:830 {ONE} "}, (OTHER,))
    for station in (ONE, OTHER):
        store.devices.adopt(station, [], make_network()[0], "ana")
    run = start_run(store, [ONE, OTHER])
    worker = store.processes.register("w")
    claims = {claim.job.station: claim for claim in store.claims.take(worker, 2)}
    for station, claim in claims.items():
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED, detail=f"about {station}"))
    only_other = start_run(store, [OTHER], salt="more")
    alarms = {station: store.alarms.report(_report(station)) for station in (ONE, OTHER)}
    store.comments.add(alarms[ONE].id, "ana", "host", "it hums")
    for target in (ONE, f"{ONE}/B4-1", OTHER, "site:here", "site:there"):
        store.holds.add(target, "ana", "work", None)
    store.audit.deny("rosa", "entel", "plan", f"POST /v1/devices/{ONE}/adopt")
    store.audit.deny("rosa", "entel", "plan", f"GET /v1/devices/{OTHER}")
    job = {station: claim.job.id for station, claim in claims.items()}
    assert trail(store, ONE, "site:here") == [
        ("network.ways", "peru"),
        ("station.adopted", ONE),
        ("plan.saved", run.plan),
        ("run.created", run.id),
        ("run.advanced", run.id),
        ("job.finished", job[ONE]),
        *((row.action, row.object) for row in _about(store, alarms[ONE].id, store.alarms.get(alarms[ONE].id).incident)),
        ("hold.put", ONE),
        ("hold.put", f"{ONE}/B4-1"),
        ("hold.put", "site:here"),
        ("access.denied", f"POST /v1/devices/{ONE}/adopt"),
    ]
    others = trail(store, OTHER)
    assert {("plan.saved", only_other.plan), ("job.finished", job[OTHER]), ("hold.put", OTHER)} <= set(others)
    assert not {("job.finished", job[ONE]), ("hold.put", ONE), ("hold.put", f"{ONE}/B4-1")} & set(others)
    assert trail(store, "S") == []
    assert trail(store, "S_") == []
    clock.pause(3600)
    store.holds.add(ONE, "ana", "again", None)
    late = AuditQuery(device=ONE, since=clock.now() - timedelta(minutes=1))
    assert _acts(store.audit.page(PAGE, late)[1]) == [("hold.put", ONE)]
    assert _acts(store.audit.page(Page(limit=1), AuditQuery(device=ONE, action="run.*"))[1]) == [
        ("run.advanced", run.id)
    ]


def _about(store: Store, *objects: str) -> list[AuditRow]:
    """Rows about objects, from all rows of the trail."""
    found = [row for row in reversed(store.audit.page(PAGE)[1]) if row.object in objects]
    assert {row.object for row in found} == set(objects)
    return found


def test_a_tenant_has_its_own_rows_and_runs_there_and_learns_of_no_others(store: Store) -> None:
    store.users.add(Person(name="rosa", role=Role.TENANT_APPROVER, tenant="entel"), "ana")
    store.devices.adopt(ONE, [], make_network()[0], "ana")
    run = start_run(store, [ONE])
    (claim,) = store.claims.take(store.processes.register("w"), 2)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    elsewhere = start_run(store, [OTHER], salt="elsewhere")
    store.holds.add(ONE, "ana", "work", None)
    for target in (run.id, elsewhere.id):
        store.audit.append("rosa", "approval.approve", target, {"reason": "fine"})
    wanted = AuditQuery(device=ONE)

    def acts(tenant: str) -> list[tuple[str, str]]:
        return _acts([row for row, _own in store.tenants.audit(tenant, VISIBLE_ACTS, PAGE, wanted)[1]])

    assert acts("entel") == [("run.created", run.id), ("job.finished", claim.job.id), ("approval.approve", run.id)]
    assert acts("claro") == []


def test_a_tenant_learns_of_no_cancel_after_its_own_jobs_have_ended(store: Store, clock: VirtualClock) -> None:
    def acts(tenant: str) -> list[str]:
        return [row.action for row, _own in store.tenants.audit(tenant, VISIBLE_ACTS, PAGE)[1]]

    run = start_run(store, [ONE, OTHER])
    store.database.run(lambda tx: note_run(tx, run.id, {ONE: ["claro"], OTHER: ["bitel"]}), "IMMEDIATE")
    claims = {claim.job.station: claim for claim in store.claims.take(store.processes.register("w"), 2)}
    store.claims.finish(claims[ONE], JobResult(Outcome.SUCCEEDED))
    clock.pause(46)
    store.runs.cancel(run.id, "ana")
    assert acts("claro") == ["job.finished", "run.created"]
    assert acts("bitel") == ["run.cancel-requested", "run.created"]
    clock.pause(1)
    store.claims.finish(claims[OTHER], JobResult(Outcome.SUCCEEDED))
    assert acts("bitel") == ["job.finished", "run.cancel-requested", "run.created"], "it was cancelled before that"
