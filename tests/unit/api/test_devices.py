"""Stations as a tenant lists them, by the agreements in force on the day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.models.errors import UnreachableError
from controller.models.health import Health, ServiceState
from controller.models.measurement import Measured, Subject
from controller.models.network import Network, network_digest
from controller.models.people import Role
from controller.models.plan import LedgerNode
from controller.nrm.tree import Observed
from controller.ports.clock import SystemClock
from tests.support.callers import admit
from tests.unit.api.bench import ApiBench
from tests.unit.plan import samples

#: When an agreement begins and ends, in days from now.
_DAYS = [(-20, None), (-20, 20), (20, None), (-20, -10)]


def _network(begins: int, ends: int | None) -> Network:
    """Alfa and beta share S1; the agreement of beta holds between these days."""
    now = SystemClock().now()
    validity: dict[str, Any] = {"start": (now + timedelta(days=begins)).date().isoformat()}
    validity |= {} if ends is None else {"end": (now + timedelta(days=ends)).date().isoformat()}
    agreements = [one.model_dump(mode="json") for one in samples.network(("alfa", "beta")).agreements]
    agreements[1]["validity"] = validity
    return samples.network(("alfa", "beta"), agreements=agreements)


@pytest.mark.parametrize(("begins", "ends"), _DAYS)
async def test_a_tenant_reads_states_and_counts_of_days_of_its_agreement(
    bench: ApiBench, begins: int, ends: int | None
) -> None:
    now = SystemClock().now()
    disclosed = begins < 0 and (ends is None or ends > 0)
    net = _network(begins, ends)
    bench.store.networks.save(net, network_digest(net), "ana")
    bench.store.devices.adopt("S1", (), "d", "ana")
    bench.store.healths.save([Health(station="S1", at=now, reachable=True, read=now, cells={"L1": ServiceState.UP})])
    begin = (now - timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    volume = {"DRB.PdcpSduVolumeDL": {Subject(): 8.0, Subject(net.tenants[1].plmns[0]): 8.0}}
    bench.store.measurements.put([Measured(station="S1", begin=begin, seconds=900, covered=900, cells={"L1": volume})])
    admit(bench.store, "token-of-leo", "leo", Role.TENANT_VIEWER, "beta")
    async with bench.with_token("token-of-leo") as leo:
        told = (await leo.get("/v1/devices")).json()["results"]
        ended = ends is not None and ends < 0
        assert [one["station"] for one in told] == ([] if ended else ["S1", "S2"]), "before the begin people prepare"
        assert (await leo.get("/v1/devices/S1")).status_code == (404 if ended else 200)
        assert (await leo.get("/v1/network/cells")).json()["count"] == (0 if ended else 4)
        assert (await leo.get("/v1/network")).json()["counts"]["cells"] == (0 if ended else 4)
        assert (await leo.get("/v1/network/agreements")).json()["count"] == 1, "a contract stays told"
        if told:
            assert (told[0]["health"] is not None) is disclosed
        asked = {"level": "cell", "begin": begin.isoformat(), "end": (begin + timedelta(hours=1)).isoformat()}
        found = (await leo.get("/v1/kpis/volume-down", params=asked)).json()
        (cell,) = [one for one in found["results"] if one["of"] == "S1/L1"]
        assert (cell["figure"]["value"] is not None) is disclosed


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize(("begins", "ends"), _DAYS)
async def test_a_station_is_read_for_a_tenant_on_days_of_its_agreement_alone(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch, begins: int, ends: int | None, *, answers: bool
) -> None:
    """On other days a tenant gets its own nodes as on record, whatever the station does."""
    net = _network(begins, ends)
    bench.store.networks.save(net, network_digest(net), "ana")
    entries = [
        LedgerNode(path=f"/ManagedElement[S1]/Link[{tenant}]", owners=(tenant,), leaves={"vlan": tenant})
        for tenant in ("alfa", "beta")
    ]
    bench.store.devices.adopt("S1", entries, "d", "ana")
    own, read = entries[1].path, list[str]()

    async def reading(_: object, __: object, station: str) -> Observed:
        read.append(station)
        if not answers:
            raise UnreachableError("no answer")
        return Observed({own: {"vlan": "other"}}, {own: {"operationalState": "DISABLED"}})

    monkeypatch.setattr(type(bench.app.state.services.planner), "read", reading)
    admit(bench.store, "token-of-leo", "leo", Role.TENANT_VIEWER, "beta")
    async with bench.with_token("token-of-leo") as leo:
        found = await leo.get("/v1/devices/S1/config")
    if begins < 0 and (ends is None or ends > 0):
        assert read == ["S1"]
        assert (found.status_code == 200) is answers
    else:
        assert read == []
        assert (found.status_code, found.json()["tree"], found.json()["state"]) == (200, {own: {"vlan": "beta"}}, {})
