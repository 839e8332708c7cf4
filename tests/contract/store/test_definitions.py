"""Versions of rules, playbooks and KPIs on record: one is in force, for all processes."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from controller.models.alarm import AlarmReport, PerceivedSeverity
from controller.models.definitions import DefinitionFiles
from controller.models.errors import NotFoundError
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store

ONE = DefinitionFiles({"rules/a.yaml": "name: a", "kpis/k.yaml": "name: k"})
TWO = DefinitionFiles({"rules/a.yaml": "name: a # changed", "playbooks/p.yaml": "name: p"}, {"kpis/k.yaml": (3, "no")})


def put(store: Store, files: DefinitionFiles, by: str = "ana", *, first: bool = False) -> int:
    return store.definitions.put(files, by=by, reason="CHG-7", first=first).number


def test_nothing_is_in_force_before_a_version_was_put_on_record(store: Store) -> None:
    with pytest.raises(NotFoundError, match="minka definitions load"):
        store.definitions.get()


def test_the_newest_version_is_in_force_and_the_trail_has_its_digest(store: Store) -> None:
    put(store, ONE)
    number = put(store, TWO, "tom")
    found = store.definitions.get()
    assert (found.number, found.by, found.reason, found.digest) == (number, "tom", "CHG-7", TWO.digest)
    assert found.files == TWO
    row, *_ = store.audit.page(Page())[1]
    assert (row.actor, row.action, row.object) == ("tom", "definitions.in-force", str(number))
    assert (row.detail["digest"], row.detail["before"]) == (TWO.digest, ONE.digest)
    assert "kpis/k.yaml" in row.detail["changed"]
    assert "playbooks/p.yaml" in row.detail["changed"]


def test_the_same_files_are_the_same_version(store: Store) -> None:
    assert put(store, ONE) == put(store, DefinitionFiles(dict(reversed(list(ONE.texts.items())))))
    assert store.audit.page(Page())[0] == 1


def test_processes_with_different_folders_start_with_one_version(shared_url: str) -> None:
    with (
        closing(open_store(shared_url)) as one,
        closing(open_store(shared_url)) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        asked = [pool.submit(put, store, files, first=True) for store, files in ((one, ONE), (other, TWO))]
        assert asked[0].result() == asked[1].result()
        assert one.definitions.get() == other.definitions.get()
        put(other, TWO)
        assert one.definitions.get().files == TWO, "what another process put in force holds here, too"
        put(one, ONE, first=True)
        assert other.definitions.get().files == TWO, "a restart with other files changes nothing"


def test_a_version_of_an_earlier_time_is_found_and_the_first_one_for_the_time_before(
    store: Store, clock: VirtualClock
) -> None:
    before = clock.now()
    asyncio.run(clock.advance(60))
    put(store, ONE)
    asyncio.run(clock.advance(60))
    between = clock.now()
    asyncio.run(clock.advance(60))
    put(store, TWO)
    assert store.definitions.get(between).files == ONE
    assert store.definitions.get(clock.now()).files == TWO
    assert store.definitions.get(before).files == ONE


def test_all_alarms_are_judged_anew_when_other_rules_are_in_force(store: Store, clock: VirtualClock) -> None:
    put(store, ONE)
    alarm = store.alarms.report(AlarmReport.of_controller("x", "cause", PerceivedSeverity.MAJOR, clock.now()))
    head, _ = store.alarms.changes(None)
    assert store.alarms.changes(head) == (head, [])
    put(store, TWO)
    assert store.alarms.changes(head)[1] == [alarm.id]


def test_paths_and_contents_make_the_digest() -> None:
    same = DefinitionFiles({"rules/a.yaml": "x"})
    others = [
        DefinitionFiles({"rules/b.yaml": "x"}),
        DefinitionFiles({"rules/a.yaml": "y"}),
        DefinitionFiles({"playbooks/a.yaml": "x"}),
        DefinitionFiles({}, {"rules/a.yaml": (0, "x")}),
        DefinitionFiles({"rules/a.yaml": "x", "rules/b.yaml": ""}),
    ]
    assert len({one.digest for one in (same, *others)}) == 6
    assert others[4].differences(same) == ("rules/b.yaml",)
