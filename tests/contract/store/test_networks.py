from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.errors import NotFoundError
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.plan import LedgerNode
from controller.models.run import LedgerEntry
from controller.ports.clock import VirtualClock
from controller.store import Page, Store
from tests.support.records import START, make_network


def test_the_current_network_is_the_one_saved_last(store: Store) -> None:
    with pytest.raises(NotFoundError):
        store.networks.get()
    old, new = make_network("old"), make_network("new")
    assert store.networks.save(old[1], old[0], "ana")
    assert not store.networks.save(old[1], old[0], "ana")
    assert store.networks.save(new[1], new[0], "ana")
    assert store.networks.get() == new
    assert store.networks.get(old[0]) == old
    assert store.networks.save(old[1], old[0], "ana")
    assert store.networks.get() == old
    with pytest.raises(NotFoundError):
        store.networks.get("f" * 64)
    assert store.audit.page(Page())[0] == 3


def test_more_versions_than_are_cached_stay_readable(store: Store) -> None:
    versions = [make_network(str(number)) for number in range(7)]
    for digest, network in versions:
        store.networks.save(network, digest, "ana")
    for _ in range(2):
        for digest, network in versions:
            assert store.networks.get(digest) == (digest, network)


def test_adopting_adds_nodes_and_keeps_the_first_day(store: Store, clock: VirtualClock) -> None:
    digest = make_network()[0]
    store.devices.adopt("A", [LedgerNode(path="/one", owners=("host",))], digest, "ana")
    clock.pause(60)
    store.devices.adopt("A", [LedgerNode(path="/two", owners=("bitel", "entel"))], "f" * 64, "ana")
    device = store.devices.find()["A"]
    assert (device.adopted, device.applied, device.network_digest) == (START, START, digest)
    assert list(store.ledger.find()["A"].values()) == [
        LedgerEntry(station="A", path="/one", owners=("host",)),
        LedgerEntry(station="A", path="/two", owners=("bitel", "entel")),
    ]


def test_devices_and_ledger_of_chosen_stations(store: Store) -> None:
    names = [f"S{number}" for number in range(1500)]
    for name in names[:3]:
        store.devices.adopt(name, [LedgerNode(path="/x", owners=("host",))], "d", "ana")
    assert set(store.devices.find(names)) == {"S0", "S1", "S2"}
    assert set(store.ledger.find(names)) == {"S0", "S1", "S2"}
    assert set(store.devices.find(["S1", "none"])) == {"S1"}
    assert store.devices.find([]) == {}
    assert store.ledger.find([]) == {}


def test_an_older_health_never_replaces_a_newer_one(store: Store) -> None:
    link = LinkHealth(path="/link", tenant="entel", kind="s1c", state=ServiceState.UP)
    newer = Health(
        station="A", at=START + timedelta(seconds=1), reachable=True, cells={"1": ServiceState.UP}, links=(link,)
    )
    older = Health(station="A", at=START, reachable=False)
    store.healths.save([newer, Health(station="B", at=START, reachable=True)])
    store.healths.save([older])
    store.healths.save([])
    assert store.healths.find(["A"]) == {"A": newer}
    assert set(store.healths.find()) == {"A", "B"}


def test_a_station_is_asked_for_until_a_look_begun_since_is_on_record(store: Store, clock: VirtualClock) -> None:
    before, since = (Health(station="A", at=START + timedelta(seconds=after), reachable=True) for after in (5, 20))
    store.healths.save([before, Health(station="B", at=START, reachable=True)])
    clock.pause(10)
    store.healths.ask(["A", "none", "A"])
    store.healths.ask([])
    assert store.healths.asked() == {"A": before.at}
    began = before.model_copy(update={"at": START + timedelta(seconds=9)})
    store.healths.save([began, Health(station="B", at=since.at, reachable=True)])
    assert store.healths.asked() == {"A": began.at}, "that look may have missed it"
    store.healths.save([since])
    assert store.healths.asked() == {}
    store.healths.ask(["A"])
    assert store.healths.asked() == {"A": since.at}


def test_a_station_goes_out_of_service_until_it_is_adopted_again(store: Store, clock: VirtualClock) -> None:
    store.devices.adopt("A", [LedgerNode(path="/one", owners=("host",))], "d", "ana")
    clock.pause(60)
    store.devices.retire("A", "ana")
    retired = store.devices.find(["A"])["A"].retired
    assert (store.devices.find(["A"])["A"].adopted, retired) == (None, clock.now())
    clock.pause(60)
    store.devices.retire("A", "ana")
    assert store.devices.find(["A"])["A"].retired == retired
    store.devices.retire("B", "ana")
    assert "B" not in store.devices.find()
    store.devices.adopt("A", [], "d", "ana")
    record = store.devices.find(["A"])["A"]
    assert (record.adopted, record.retired) == (clock.now(), None)
    _, rows = store.audit.page(Page(limit=10))
    assert [row.action for row in rows].count("station.retired") == 1


def test_what_stays_on_a_station_out_of_service_leaves_the_ledger(store: Store) -> None:
    store.devices.adopt("A", [LedgerNode(path=path, owners=("host",)) for path in ("/one", "/two")], "d", "ana")
    store.devices.retire("A", "ana", ["/two"])
    assert store.ledger.find(["A"])["A"].keys() == {"/one"}
    _, rows = store.audit.page(Page(limit=1))
    assert (rows[0].action, rows[0].detail["kept"]) == ("station.retired", "/two")


def test_each_change_of_a_ledger_is_a_newer_version(store: Store) -> None:
    assert store.ledger.versions(["A"]) == {}
    store.devices.adopt("A", [LedgerNode(path="/one", owners=("host",))], "d", "ana")
    store.devices.adopt("B", [LedgerNode(path="/one", owners=("host",))], "d", "ana")
    first = store.ledger.versions(["A", "B", "none"])
    assert set(first) == {"A", "B"}
    assert store.ledger.versions(["A"]) == {"A": first["A"]}
    for number in range(150):  # more than are kept
        store.devices.adopt("A", [LedgerNode(path="/one", owners=("host", f"t{number}"))], "d", "ana")
        now = store.ledger.versions(["A", "B"])
        assert now["A"] > first["A"]
        assert now["B"] == first["B"]
        first = now
