"""Post-incident reports and dispatch packs over the API: the host's whole story, a tenant's own part of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from controller.access.report import markdown
from controller.cli.alarms import print_dispatch
from controller.models.alarm import UNREACHABLE, AlarmReport, AlarmSource, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.incident import Incident, Suspect
from controller.models.network import network_digest
from controller.models.people import Role
from controller.models.rule import Figures
from controller.models.run import RunState, Strategy
from controller.store import NewJob, Transition
from tests.support.callers import admit
from tests.support.launch import prepared
from tests.support.records import make_plan
from tests.unit.api.bench import ApiBench
from tests.unit.remediation.bench import tiny

STATION = "T-LTE-1"
NOW = datetime.now(UTC)


@pytest.fixture
def incident(bench: ApiBench) -> str:
    """A station that lost its power: a repair failed, people were asked, the host said something to one tenant."""
    store = bench.store
    store.networks.save(tiny(), network_digest(tiny()), "ana")
    report = AlarmReport(
        station=STATION,
        object="station",
        probable_cause="3gpp-power-problem",
        severity=PerceivedSeverity.CRITICAL,
        text="mains | lost <b>now</b>",
        source=AlarmSource.ALARM_LIST,
        at=NOW - timedelta(minutes=10),
    )
    alarm = store.alarms.report(report)
    plan = make_plan([STATION])
    store.plans.save(plan, "rule")
    cause = f"alarm:{alarm.id}"
    run = store.runs.create(prepared(plan, "apply", Strategy(), [NewJob(0, STATION)], cause=cause, actor="rule"))
    moved = store.alarms.move(alarm, AlarmState.REPAIRING, actor="rule", run=run.id)
    assert moved is not None
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.FAILED, cancel_rest=True))
    assert store.alarms.escalate(moved, "the repair failed", actor="remediation") is not None
    store.comments.add(alarm.incident, "ana", "host", "a technician is on the way", ("andes",))
    store.comments.add(alarm.incident, "ana", "host", "the supplier is late again")
    store.comments.add(alarm.id, "ana", "host", "it rains", ("condor",))
    for name, tenant in (("eva", "andes"), ("mallory", "condor"), ("vera", "vicuna")):
        admit(store, f"token-of-{name}", name, Role.TENANT_APPROVER, tenant)
    return alarm.incident


async def test_the_hosts_report_has_decisions_repairs_minutes_and_the_timeline(bench: ApiBench, incident: str) -> None:
    found: dict[str, Any] = (await bench.client.get(f"/v1/incidents/{incident}/report")).json()
    (run,) = found["runs"]
    assert (run["procedure"], run["state"]) == ("apply", "failed")
    assert [device["station"] for device in run["devices"]] == [STATION]
    assert {"incident.opened", "alarm.escalated"} <= {row["action"] for row in found["timeline"]}
    answer = await bench.client.get(f"/v1/incidents/{incident}/report", params={"format": "md"})
    assert answer.headers["content-type"].startswith("text/markdown")
    text = answer.text
    assert text == markdown(found)
    for words in (
        f"# Incident {incident}",
        "## Topology",
        "## Repairs",
        "## Timeline",
        "the repair failed",
        "late again",
        "it rains",
    ):
        assert words in text
    assert "\n\n\n" not in text
    # What a station says is no markup.
    assert "<b>" not in text
    columns = {
        line.count(" | ") for line in text.splitlines() if line.startswith("| ") and "3gpp-power-problem" in line
    }
    assert columns <= {1, 4, 7}


async def test_a_tenants_report_is_its_own_part(bench: ApiBench, incident: str) -> None:
    path = f"/v1/incidents/{incident}/report"
    async with bench.with_token("token-of-eva") as eva, bench.with_token("token-of-mallory") as mallory:
        mine, theirs = (await eva.get(path)).json(), (await mallory.get(path)).json()
        text = (await eva.get(path, params={"format": "md"})).text
    assert [one["text"] for one in mine["comments"]] == ["a technician is on the way"]
    assert [one["text"] for one in theirs["comments"]] == ["it rains"]
    assert "a technician is on the way" in text
    for secret in ("supplier", "rains", "condor", "ana", "timeline", "Decisions", "the repair failed", "mains"):
        assert secret not in text
    assert not {"timeline", "decisions", "path", "health"} & mine.keys()
    async with bench.with_token("token-of-vera") as vera:
        assert (await vera.get(path)).status_code == 404


async def test_a_dispatch_pack_is_the_hosts_alone(bench: ApiBench, incident: str) -> None:
    pack = (await bench.client.get(f"/v1/incidents/{incident}/dispatch")).json()
    assert (pack["incident"], pack["station"], pack["part"]) == (
        incident,
        STATION,
        "power supply unit, rectifier, fuses and breakers",
    )
    assert [one["outcome"] for one in pack["tried"]] == ["failed"]
    assert (await bench.client.get(f"/v1/alarms/{pack['alarm']}/dispatch")).json() == pack
    async with bench.with_token("token-of-eva") as eva:
        assert (await eva.get(f"/v1/incidents/{incident}/dispatch")).status_code == 404


async def test_a_pack_with_several_suspects_is_printed_as_text(
    bench: ApiBench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CLI reads what the API answers, with computed fields of places where the fault may be."""
    bench.store.networks.save(tiny(), network_digest(tiny()), "ana")
    source = AlarmSource.CHECK
    where = {"station": STATION, "object": "station"}
    lost = {"probable_cause": UNREACHABLE, "severity": PerceivedSeverity.CRITICAL, "text": "", "source": source}
    alarm = bench.store.alarms.report(AlarmReport.model_validate({**where, **lost, "at": NOW}))
    for path in (f"/v1/alarms/{alarm.id}/dispatch", f"/v1/incidents/{alarm.incident}/dispatch"):
        pack = (await bench.client.get(path)).json()
        assert len(pack["suspects"]) > 1
        print_dispatch(pack, as_json=False)
        said = " ".join(capsys.readouterr().out.split())
        for place in pack["suspects"]:
            assert f"may be {place['line']}" in said


def test_nouns_with_computed_fields_read_their_own_json() -> None:
    suspect = Suspect(kind=ObjectClass.BACKHAUL, name="pisac", above="hill", tells="no signal")
    figures = Figures(successes=3, failures=1)
    incident = Incident.model_validate(
        dict.fromkeys(("id", "root", "station", "object", "tenant", "probable_cause", "specific_problem"), "x")
        | {"object_class": ObjectClass.STATION, "opened": NOW, "changed": NOW}
    )
    for noun in (suspect, figures, incident):
        assert type(noun).model_validate_json(noun.model_dump_json()) == noun
        with pytest.raises(ValidationError):
            type(noun).model_validate({**noun.model_dump(), "unknown": 1})
