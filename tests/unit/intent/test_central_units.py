"""Central units with endpoints of their own: what of a gNB stands where, and what keeps its parts from being one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.access.tenant_scope import tenant_scope
from controller.intent import compile_intent
from controller.intent.agreed_terms import Era
from controller.intent.findings import Check
from controller.intent.impact import Sharing
from controller.intent.outages import Outages, Spell
from controller.inventory.selectors import select, select_with_ways
from controller.models.alarm import (
    ALL_LINKS_DOWN,
    CONFIGURATION_LOST,
    FUNCTION_DOWN,
    Alarm,
    AlarmReport,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.network import Network
from controller.models.plan import Change, Edit, Fingerprint, Op, Phase, PhaseKind
from controller.nrm.profiles import Rendered, render
from controller.nrm.tree import Leaves, Path, parent
from controller.plan.routers import ranks_behind, ranks_of
from controller.runs.rollout.waves import units_of
from tests.unit.intent.clouds import split_gnb

TODAY = date(2026, 6, 15)
AT, HOUR = datetime(2026, 6, 15, 12, tzinfo=UTC), timedelta(hours=1)
PARTS = ("CP-E", "S1", "S2", "UP-B-E", "UP-E")
_NEAR = "localAddress"
_BETA = split_gnb()


def trees(network: Network) -> Mapping[str, Rendered]:
    """What each station should carry."""
    intent = compile_intent(network, TODAY)
    assert [one for one in intent.findings if one.severity == "error"] == []
    return {name: render(network.profiles_of(name), facts) for name, facts in intent.facts.items()}


def below(rendered: Rendered, name: str) -> list[Path]:
    """Entries of the function at an endpoint, by their last two steps, that are called so."""
    found = (path.split("/", 3)[3] for path in rendered.tree if path.count("/") > 2)
    return sorted(path for path in found if f"/{path}".rpartition("/")[2].startswith(f"{name}["))


def test_only_a_central_unit_may_be_a_station_without_cells() -> None:
    def without(draft: dict[str, Any]) -> list[str]:
        findings = compile_intent(Network.model_validate(draft), TODAY).findings
        return [one.station for one in findings if one.code == Check.STATION_WITHOUT_CELLS]

    draft = split_gnb().model_dump()
    assert without(draft) == []
    draft["cells"] = [cell for cell in draft["cells"] if cell["station"] != "S2"]
    assert without(draft) == ["S2"]


def test_each_endpoint_has_the_functions_of_its_part_only() -> None:
    found = trees(split_gnb())
    functions = {
        name: [path.rpartition("/")[2] for path in rendered.tree if path.count("/") == 2 and "Function[" in path]
        for name, rendered in found.items()
    }
    assert functions == {
        "CP-E": ["GNBCUCPFunction[1]"],
        "S1": ["GNBDUFunction[1]"],
        "S2": ["GNBDUFunction[1]"],
        "UP-B-E": ["GNBCUUPFunction[1]"],
        "UP-E": ["GNBCUUPFunction[1]"],
    }
    roots = {name: next(path for path in rendered.tree if path.count("/") == 2) for name, rendered in found.items()}
    assert {found[name].tree[path]["gNBId"] for name, path in roots.items()} == {"77"}
    assert [found[name].tree[roots[name]].get("gNBDUId") for name in ("S1", "S2")] == ["1", "2"]
    assert found["UP-B-E"].owners[roots["UP-B-E"]] == ("beta",)


def test_the_control_plane_has_all_cells_and_each_user_plane_the_tenants_that_it_carries() -> None:
    found = trees(split_gnb())
    assert below(found["CP-E"], "NRCellCU") == ["NRCellCU[S1.n78-1]", "NRCellCU[S2.n78-1]"]
    assert len(below(found["CP-E"], "pLMNInfoList")) == 4
    assert below(found["UP-E"], "pLMNInfoList") == ["pLMNInfoList[716,01,000001,1]"]
    assert below(found["UP-B-E"], "pLMNInfoList") == ["pLMNInfoList[716,02,000002,1]"]
    assert len(below(found["S1"], "pLMNInfoList")) == 2
    assert below(found["CP-E"], "EP_NgC") == ["EP_NgC[alfa-amf]", "EP_NgC[beta-amf]"]
    assert (below(found["UP-E"], "EP_NgU"), below(found["UP-B-E"], "EP_NgU")) == (
        ["EP_NgU[alfa-upf]"],
        ["EP_NgU[beta-upf]"],
    )
    assert not [one for name in ("S1", "S2") for one in (*below(found[name], "EP_NgC"), *below(found[name], "EP_NgU"))]


def test_stations_count_and_so_do_control_plane_and_user_planes() -> None:
    header = {**split_gnb().header.model_dump(mode="json"), "performance": {}}
    found = trees(split_gnb(header=header))
    jobs = {
        name for name, rendered in found.items() if f"/ManagedElement[{name}]/PerfMetricJob[minka]" in rendered.tree
    }
    assert jobs == {"CP-E", "UP-E", "UP-B-E", "S1", "S2"}


def test_f1_and_e1_have_an_end_at_both_sides_which_name_each_other() -> None:
    network = split_gnb()
    found = trees(network)
    address = {station.id: str(station.transport_address) for station in network.stations}
    ends = {}
    for name, rendered in found.items():
        for path in rendered.tree:
            last = path.rpartition("/")[2]
            if last.startswith(("EP_F1", "EP_E1")):
                kind, peer = last.removesuffix("]").split("[")
                (near,) = (one for one in rendered.tree if parent(one) == path)
                assert near.endswith(f"{_NEAR}[{address[name]},900]")
                assert rendered.tree[path]["remoteAddress"] == address[peer]
                ends[kind, name, peer] = rendered.owners[path]
    assert {(kind, peer, name): owners for (kind, name, peer), owners in ends.items()} == ends
    assert {key for key in ends if key[1] == "S1"} == {
        ("EP_F1C", "S1", "CP-E"),
        ("EP_F1U", "S1", "UP-E"),
        ("EP_F1U", "S1", "UP-B-E"),
    }
    assert {key[2] for key in ends if key[:2] == ("EP_E1", "CP-E")} == {"UP-E", "UP-B-E"}
    assert {owners for key, owners in ends.items() if "UP-B-E" in key} == {("beta",)}
    assert {owners for key, owners in ends.items() if "UP-B-E" not in key} == {("host",)}


def test_what_divides_a_resource_stands_where_the_resource_is() -> None:
    draft = split_gnb().model_dump(mode="json")
    for agreement in draft["agreements"]:
        agreement["shares"] = [{"resource": kind, "min": 20} for kind in ("PRB", "RRC", "DRB")]
    found = trees(Network.model_validate(draft))
    assert below(found["S1"], "RRMPolicyRatio") == [
        "NRCellDU[n78-1]/RRMPolicyRatio[alfa-prb]",
        "NRCellDU[n78-1]/RRMPolicyRatio[beta-prb]",
    ]
    assert below(found["CP-E"], "RRMPolicyRatio") == [
        f"NRCellCU[{station}.n78-1]/RRMPolicyRatio[{tenant}-rrc]"
        for station in ("S1", "S2")
        for tenant in ("alfa", "beta")
    ]
    assert below(found["UP-E"], "RRMPolicyRatio") == ["RRMPolicyRatio[alfa-drb]"]
    assert below(found["UP-B-E"], "RRMPolicyRatio") == []  # beta is alone there


def test_a_neighbour_is_named_where_its_cu_is() -> None:
    network = split_gnb(
        neighbours=[{"station": "S1", "cell": "n78-1", "neighbour_station": "S2", "neighbour_cell": "n78-1"}]
    )
    found = trees(network)
    (relation,) = (path for path in found["CP-E"].tree if "NRCellRelation[" in path)
    assert relation.endswith("/NRCellCU[S1.n78-1]/NRCellRelation[CP-E.S2.n78-1]")
    assert found["CP-E"].tree[relation]["adjacentNRCellRef"] == (
        "ManagedElement=CP-E,GNBCUCPFunction=1,NRCellCU=S2.n78-1"
    )
    assert not [path for path in found["S1"].tree if "NRCellRelation[" in path]


def beside() -> Network:
    """The gNB with two other stations beside it: S3, a gNB in one, and S4, an eNB; X2 and Xn are configured."""
    draft = split_gnb().model_dump(mode="json")
    draft["header"] |= {"x2_vlan": 901, "xn_vlan": 902}
    known, cell = draft["stations"][1], draft["cells"][0]
    whole = known | {"functions": [], "gnb_du_id": None}
    draft["stations"] += [
        whole | {"id": "S3", "gnb_id": 3, "transport_address": "10.0.1.3"},
        whole | {"id": "S4", "gnb_id": None, "enb_id": 4, "profiles": ["lte-28658"], "transport_address": "10.0.1.4"},
    ]
    carrier = {"rat": "LTE", "band": "B4", "arfcn_dl": 2100, "arfcn_ul": 20100, "bandwidth_mhz": 20, "ssb_arfcn": None}
    draft["cells"] += [cell | {"station": "S3", "pci": 3}, cell | carrier | {"station": "S4", "id": "B4-1", "pci": 4}]
    for tenant in draft["tenants"]:
        tenant["core"] |= {
            "mme_pool": [{"id": "mme", "address": f"10.202.{tenant['core']['vlan']}.1"}],
            "sgw_pool": [{"id": "sgw", "prefix": f"10.203.{tenant['core']['vlan']}.0/29"}],
        }
    ways = (("S1", "n78-1", "S2", "n78-1"), ("S2", "n78-1", "S3", "n78-1"), ("S4", "B4-1", "S1", "n78-1"))
    names = ("station", "cell", "neighbour_station", "neighbour_cell")
    return Network.model_validate(draft | {"neighbours": [dict(zip(names, way, strict=True)) for way in ways]})


def test_x2_and_xn_end_at_the_part_of_the_central_unit_that_has_their_plane() -> None:
    found = trees(beside())
    ends = {
        name: {path.rpartition("/")[2]: rendered.owners[path] for path in rendered.tree if is_peer(path)}
        for name, rendered in found.items()
    }
    host, beta = ("host",), ("beta",)
    assert ends == {
        "S1": {},
        "S2": {},
        "CP-E": {"EP_XnC[S3.NR]": host, "EP_X2C[S4.LTE]": host},
        "UP-E": {"EP_XnU[S3.NR]": host, "EP_X2U[S4.LTE]": host},
        "UP-B-E": {"EP_XnU[S3.NR]": beta, "EP_X2U[S4.LTE]": beta},
        "S3": {"EP_XnC[CP-E.NR]": host, "EP_XnU[UP-E.NR]": host, "EP_XnU[UP-B-E.NR]": beta},
        "S4": {"EP_X2C[CP-E.NR]": host, "EP_X2U[UP-E.NR]": host, "EP_X2U[UP-B-E.NR]": beta},
    }
    address = {station.id: str(station.transport_address) for station in beside().stations}
    (control,) = (leaves for path, leaves in found["S3"].tree.items() if path.endswith("EP_XnC[CP-E.NR]"))
    assert control["remoteAddress"] == address["CP-E"]


def is_peer(path: Path) -> bool:
    return path.rpartition("/")[2].startswith(("EP_X2", "EP_Xn"))


@given(
    scopes=st.lists(
        st.sampled_from([{"everywhere": True}, {"stations": ["S2"]}, {"everywhere": True, "rats": ["LTE"]}]), max_size=3
    ),
    shares=st.lists(st.sampled_from(["PRB", "RRC", "DRB"]), unique=True),
    upfs=st.integers(1, 4),
    ended=st.booleans(),
)
def test_another_tenant_changes_nothing_of_a_user_plane_that_is_not_its_own(
    scopes: list[dict[str, Any]], shares: list[str], upfs: int, ended: bool
) -> None:
    """Whatever alfa agrees, buys, builds or ends: what beta's own user plane carries follows from beta alone."""
    draft = _BETA.model_dump(mode="json")
    (alfa, beta), core = draft["agreements"], draft["tenants"][0]["core"]
    alfa |= {"shares": [{"resource": one, "min": 30} for one in shares]}
    alfa["validity"] |= {"end": "2021-01-01"} if ended else {}
    draft["agreements"] = [beta, *({**alfa, "id": f"alfa-{n}", "scope": scope} for n, scope in enumerate(scopes))]
    core["upf_pool"] = [{"id": f"upf-{n}", "address": f"10.201.0.{n}"} for n in range(1, upfs + 1)]
    other = Network.model_validate(draft)
    assert compile_intent(other, TODAY).facts["UP-B-E"] == compile_intent(_BETA, TODAY).facts["UP-B-E"]


def test_without_endpoints_of_their_own_the_station_has_all_parts() -> None:
    draft = split_gnb().model_dump(mode="json")
    draft["stations"] = [
        one | {"gnb_id": 70 + n} for n, one in enumerate(draft["stations"]) if one["id"] in ("S1", "S2")
    ]
    found = trees(Network.model_validate(draft))
    assert set(found) == {"S1", "S2"}
    functions = [path.rpartition("/")[2] for path in found["S1"].tree if path.count("/") == 2]
    assert functions == ["GNBCUCPFunction[1]", "GNBCUUPFunction[1]", "GNBDUFunction[1]"]


def test_devices_know_who_stands_behind_them() -> None:
    network = split_gnb()
    assert network.stations_behind("UP") == ("UP-E", "S1", "S2")
    assert network.stations_behind("CP-E") == ("CP-E", "S1", "S2")
    assert network.stations_in == {
        "DU-1": ("S1",),
        "DU-2": ("S2",),
        "CP": ("CP-E",),
        "UP": ("UP-E",),
        "UP-B": ("UP-B-E",),
    }
    assert network.units_above["S1"] == ("CP-E", "UP-B-E", "UP-E")
    assert {network.gnb_of(name) for name in PARTS} == {"CP-E"}
    assert select(network, "tenant=alfa") == ("CP-E", "S1", "S2", "UP-E")
    assert select(network, "tenant=beta") == PARTS
    assert select_with_ways(network, "S1") == ("CP-E", "S1", "UP-B-E", "UP-E")
    assert select_with_ways(network, "function=DU-1") == ("CP-E", "DU-1", "UP-B-E", "UP-E")


def test_a_tenant_sees_the_central_units_that_carry_it_and_no_others() -> None:
    network = split_gnb()
    assert {one: set(tenant_scope("digest", network, one).cells) for one in ("alfa", "beta")} == {
        "alfa": {"S1", "S2", "CP-E", "UP-E"},
        "beta": {"S1", "S2", "CP-E", "UP-B-E"},
    }
    seen = tenant_scope("digest", network, "alfa")
    assert (seen.cells["CP-E"], seen.network.station_by_id["CP-E"].functions) == (frozenset(), ())


def test_devices_change_in_the_order_in_which_they_need_each_other() -> None:
    network = split_gnb()
    assert ranks_behind(network, ["UP-E", "CP"]) == {"CP-E": 1, "S1": 2, "S2": 2}
    comes = [_edit(name, Op.CREATE) for name in ("S1", "CP-E", "CP")]
    assert ranks_of(comes, network) == {"CP-E": 1, "S1": 2, "S2": 2}
    assert ranks_of([_edit("S1", Op.DELETE), _edit("CP-E", Op.DELETE)], network) == {"CP-E": 1}
    assert sorted(units_of(comes, network)) == [("CP", "CP-E", "S1")]


def _edit(device: str, op: Op) -> Change:
    leaves: dict[str, Leaves] = {"before": {"x": "1"}} if op is Op.DELETE else {"after": {"x": "1"}}
    edits = (Edit(op=op, path="/ManagedElement[x]/EP_F1C[y]", owners=("host",), **leaves),)
    phase = Phase(kind=PhaseKind.EDIT, edits=edits, inverse=())
    fingerprint = Fingerprint(paths=(), digest="")
    return Change(station=device, phases=(phase,), diff=(), touched=(), fingerprint=fingerprint, reverts=True)


@pytest.mark.parametrize(
    ("device", "cause", "takes"),
    [
        ("UP-B", FUNCTION_DOWN, {"beta": ("S1/n78-1", "S2/n78-1")}),
        ("UP", FUNCTION_DOWN, {"alfa": ("S1/n78-1", "S2/n78-1")}),
        ("CP", FUNCTION_DOWN, {"alfa": ("S1/n78-1", "S2/n78-1"), "beta": ("S1/n78-1", "S2/n78-1")}),
        ("CP-E", ALL_LINKS_DOWN, {"alfa": ("S1/n78-1", "S2/n78-1"), "beta": ("S1/n78-1", "S2/n78-1")}),
        ("DU-1", FUNCTION_DOWN, {"alfa": ("S1/n78-1",), "beta": ("S1/n78-1",)}),
        ("S1", CONFIGURATION_LOST, {"alfa": ("S1/n78-1",), "beta": ("S1/n78-1",)}),
        ("CP-E", CONFIGURATION_LOST, {"alfa": ("S1/n78-1", "S2/n78-1"), "beta": ("S1/n78-1", "S2/n78-1")}),
    ],
)
def test_a_fault_of_a_central_unit_takes_service_from_whom_it_carries(
    device: str, cause: str, takes: Mapping[str, tuple[str, ...]]
) -> None:
    network = split_gnb()
    sharing = Sharing(network, TODAY)
    kind = ObjectClass.FUNCTION if device in network.function_by_id else ObjectClass.STATION
    about = AlarmReport(
        station=device,
        object=kind.value,
        object_class=kind,
        probable_cause=cause,
        severity=PerceivedSeverity.CRITICAL,
        source=AlarmSource.CHECK,
        at=AT,
    )
    assert sharing.impact_of(about).tenants == takes
    common = set(Alarm.model_fields) & set(AlarmReport.model_fields)
    alarm = Alarm(id="a", state=AlarmState.RAISED, raised=AT, changed=AT, **about.model_dump(include=common))
    outages = Outages([Spell(alarm, AT, AT + HOUR)], [Era(AT, AT + HOUR, network, sharing)], {})
    assert {one.tenant: one.lost for one in outages.minutes()} == {
        tenant: 60.0 * len(cells) for tenant, cells in takes.items()
    }


Draft = dict[str, Any]


def _station(draft: Draft, name: str, **fields: Any) -> None:
    next(one for one in draft["stations"] if one["id"] == name).update(fields)


def _other_control_plane(draft: Draft) -> None:
    """Each DU has a control plane of its own, and both the same user planes."""
    draft["functions"].append({**draft["functions"][2], "id": "CP-2"})
    _station(draft, "S2", functions=["DU-2", "CP-2", "UP", "UP-B"])
    unit = next(one for one in draft["stations"] if one["id"] == "CP-E")
    draft["stations"].append({**unit, "id": "CP-2-E", "functions": ["CP-2"], "transport_address": "10.0.0.99"})


def _second_endpoint(draft: Draft) -> None:
    unit = next(one for one in draft["stations"] if one["id"] == "UP-E")
    draft["stations"].append({**unit, "id": "UP-E2", "transport_address": "10.0.0.99"})


@pytest.mark.parametrize(
    ("spoil", "where", "text"),
    [
        (
            lambda d: _station(d, "UP-E", functions=[]),
            ("S1", "S2"),
            "station S1: UP has no endpoint, and the rest of its central unit has (CP-E, UP-B-E): give each one",
        ),
        (
            lambda d: _station(d, "S1", gnb_id=78),
            ("S1",),
            "station S1: its gNB id is 78 of 24 bits, and CP-E has 77 of 24",
        ),
        (
            lambda d: _station(d, "S1", gnb_du_id=None),
            ("S1",),
            "station S1: gnb_du_id is missing: it is one of several DUs of its gNB",
        ),
        (
            lambda d: _station(d, "S1", gnb_du_id=2),
            ("S1", "S2"),
            "station S1: another DU of its gNB has gnb_du_id 2 too; give each another",
        ),
        (
            lambda d: _station(d, "UP-B-E", owner=None),
            ("UP-B-E",),
            "station UP-B-E: it is the host's and UP-B is beta's own; correct owner",
        ),
        (
            lambda d: d["header"].update(midhaul_vlan=None),
            ("CP-E", "UP-B-E", "UP-E"),
            "station CP-E: nobody says in which VLAN F1 and E1 are: give the network's midhaul_vlan",
        ),
        (
            lambda d: next(one for one in d["packages"] if one["id"] == "vcu-cp").update(profiles=[]),
            ("CP-E",),
            "station CP-E: CP speaks nothing (vcu-cp) and not nr-28541",
        ),
        (
            _second_endpoint,
            ("UP-E2",),
            "station UP-E2: it is the endpoint of UP, and so is UP-E; leave one of them out",
        ),
        (
            _other_control_plane,
            ("UP-B-E", "UP-E"),
            "station UP-B-E: UP-B would have several control planes (CP-2-E for S2, CP-E for S1)",
        ),
        (
            lambda d: d["cells"][1].update(local_id=1),
            ("S1", "S2"),
            "cell S1/n78-1: local id 1 is also that of S2/n78-1",
        ),
    ],
)
def test_parts_that_are_no_gnb_are_found(spoil: Callable[[Draft], None], where: tuple[str, ...], text: str) -> None:
    draft = split_gnb().model_dump(mode="json")
    spoil(draft)
    errors = [one for one in compile_intent(Network.model_validate(draft), TODAY).findings if one.severity == "error"]
    assert [one for one in errors if one.message.startswith(text)]
    assert {one.station for one in errors} >= set(where)
