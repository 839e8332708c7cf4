from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from controller.models.alarm import AlarmReport, AlarmState, PerceivedSeverity
from controller.models.errors import StoreError
from controller.models.health import Health, LinkHealth
from controller.models.run import Outcome
from controller.observe.exposition import exposition
from controller.ports.clock import VirtualClock
from controller.ports.store import JobResult
from controller.store import SqlStore, open_store
from tests.support.records import start_run

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 1, 1, tzinfo=UTC)


def samples(store: SqlStore) -> list[Sample]:
    """What a Prometheus would read."""
    text = exposition(store).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(store: SqlStore, name: str, **labels: str) -> float:
    (found,) = [sample.value for sample in samples(store) if sample.name == name and sample.labels == labels]
    return found


def make_store() -> SqlStore:
    return open_store("sqlite://", VirtualClock())


def test_the_network_is_told_station_by_station() -> None:
    links = (
        LinkHealth(path="/ME[A]/EP_S1C[claro-1]", tenant="claro", kind="S1C", up=False),
        LinkHealth(path="/ME[A]/EP_S1C[entel-1]", tenant="entel", kind="S1C", up=False, locked=True),
    )
    with closing(make_store()) as store:
        store.save_health(
            [
                Health(
                    station="A",
                    at=AT,
                    reachable=True,
                    cells={"1": True, "2": False},
                    locked=("2",),
                    links=links,
                    drift=3,
                ),
                Health(station="B", at=AT + timedelta(seconds=1.5), reachable=False, reason="unreachable"),
            ]
        )
        assert value(store, "minka_station_reachable", station="A") == 1
        assert value(store, "minka_station_reachable", station="B") == 0
        assert value(store, "minka_station_seen_timestamp_seconds", station="B") == AT.timestamp() + 1.5
        assert value(store, "minka_station_drift_nodes", station="A") == 3
        assert value(store, "minka_cell_on_air", station="A", cell="1") == 1
        assert value(store, "minka_cell_locked", station="A", cell="2") == 1
        labels = {"station": "A", "tenant": "claro", "kind": "S1C", "object": "/ME[A]/EP_S1C[claro-1]"}
        assert value(store, "minka_core_link_up", **labels) == 0
        assert [s.labels["tenant"] for s in samples(store) if s.name == "minka_core_link_locked"] == ["entel"]
        of_b = {sample.name for sample in samples(store) if sample.labels.get("station") == "B"}
        assert of_b == {"minka_station_reachable", "minka_station_seen_timestamp_seconds"}


def test_label_values_are_escaped() -> None:
    nasty = 'a"b\\c\nd'
    with closing(make_store()) as store:
        store.save_health([Health(station="A", at=AT, reachable=True, cells={nasty: True})])
        assert value(store, "minka_cell_on_air", station="A", cell=nasty) == 1


def test_the_controllers_figures_come_from_the_record() -> None:
    with closing(make_store()) as store:
        start_run(store, ["A", "B"])
        worker = store.register_worker("worker-0")
        store.heartbeat(worker, 7)
        store.heartbeat(store.register_worker("worker-1"), 2)
        (claim,) = store.claim(worker, 1)
        store.finish(claim, JobResult(Outcome.SUCCEEDED))
        alarm = store.report_alarm(
            AlarmReport(
                station="A", object="x", probable_cause="c", severity=PerceivedSeverity.MAJOR, source="check", at=AT
            )
        )
        store.record_repair("core-link-down", "A:x", alarm.id, claim.run.id)
        assert value(store, "minka_runs", state="running") == 1
        assert value(store, "minka_jobs", state="ready") == 1
        assert value(store, "minka_jobs_ended_total", outcome="succeeded") == 1
        assert value(store, "minka_sessions", role="worker", instance="worker-0") == 7
        assert value(store, "minka_sessions", role="worker", instance="worker-1") == 2
        assert value(store, "minka_process_up", role="worker", instance="worker-0") == 1
        assert value(store, "minka_processes_ready", role="worker") == 2
        # What did not happen yet is there as 0, so that the first one is an increase.
        assert value(store, "minka_jobs_ended_total", outcome="diverged") == 0
        assert value(store, "minka_runs_ended_total", state="failed") == 0
        assert value(store, "minka_alarms_escalated_total") == 0
        assert value(store, "minka_alarms", state=AlarmState.RAISED, severity="MAJOR", probable_cause="c") == 1
        assert value(store, "minka_repairs_started_total", rule="core-link-down") == 1
        store.escalate_alarm(alarm, "why", actor="rule")
        assert value(store, "minka_alarms_escalated_total") == 1


async def test_the_age_of_waiting_work_grows() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        assert value(store, "minka_oldest_claimable_job_age_seconds") == 0
        start_run(store, ["A"])
        await clock.advance(60)
        assert value(store, "minka_oldest_claimable_job_age_seconds") == 60


def test_a_database_that_is_away_is_an_error_not_an_empty_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreError

    with closing(make_store()) as store:
        monkeypatch.setattr(store, "healths", away)
        with pytest.raises(StoreError):
            exposition(store)


def test_docs_list_every_metric_and_no_other() -> None:
    with closing(make_store()) as store:
        text = exposition(store).decode()
    served = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    documented = set(re.findall(r"^\| `(minka_\w+)", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    assert documented == served


def test_rules_use_only_metrics_that_exist() -> None:
    with closing(make_store()) as store:
        served = set(re.findall(r"^# TYPE (\S+) ", exposition(store).decode(), re.MULTILINE))
    rules = (ROOT / "deploy" / "prometheus" / "rules" / "minka.yml").read_text()
    assert set(re.findall(r"\bminka_\w+", rules)) <= served
