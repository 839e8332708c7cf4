"""Equal lines of a plan become one, and what differs shows as …"""

from __future__ import annotations

from typing import Any

import pytest

from controller.cli.plan_view import (
    Row,
    _show_weak,
    conclusion,
    grouped,
    show_conclusion,
    show_extent,
    show_findings,
    show_left_out,
    show_plan,
)

LINK = "MME address 10.17.1.11; local address and VLAN {} 1017; served PLMN 716-17"


def row(what: str, after: str, *, cell: str = "", tenant: str = "entel", before: str = "–") -> Row:
    return {"cell": cell, "tenant": tenant, "what": what, "before": before, "after": after}


def plan(lines: list[tuple[str, Row]], **more: Any) -> dict[str, Any]:
    changes: list[dict[str, Any]] = [
        {"station": station, "diff": [r for s, r in lines if s == station], "touched": ["entel"], "interrupted": []}
        for station in sorted({station for station, _ in lines})
    ]
    for change in changes:
        change["outage"] = {"kind": "none", "seconds": 0}
    empty = {"unchanged": [], "unplanned": {}, "findings": [], "removals": {}, "selector": "region=cusco"}
    return {"id": "42327bc0ca30", "changes": changes, **empty, **more}


def sentence(made: dict[str, Any]) -> str:
    said, commands = conclusion(made)
    return "\n".join([*said, *commands])


def test_the_same_on_many_cells_is_one_line() -> None:
    lines = [(f"S{n}", row("PLMN 716-17", "broadcast", cell=f"B28-{m}")) for n in range(4) for m in range(3)]
    (group,) = grouped(lines)
    assert (group.where, group.row["what"], group.after) == ("4 stations, 12 cells", "PLMN 716-17", "broadcast")


def test_one_station_is_named_with_its_cells() -> None:
    lines = [("S1", row("PLMN 716-17", "broadcast", cell=cell)) for cell in ("B4-1", "B28-1")]
    assert grouped(lines)[0].where == "S1: B28-1, B4-1"
    assert grouped([("S1", row("S1 link", "x"))])[0].where == "S1"
    many = [("S1", row("PLMN 716-17", "broadcast", cell=str(n))) for n in range(9)]
    assert grouped(many)[0].where == "S1: 9 cells"


def test_addresses_of_stations_are_masked_and_those_of_the_core_shown() -> None:
    lines = [(f"S{n}", row("S1 link entel-mme-lima", LINK.format(f"10.64.0.{n}"))) for n in range(1, 4)]
    (group,) = grouped(lines)
    assert group.after == LINK.format("…")


def test_shares_that_differ_stay_apart() -> None:
    lines = [("S1", row("radio share", "dedicated % 5")), ("S2", row("radio share", "dedicated % 10"))]
    assert [group.after for group in grouped(lines)] == ["dedicated % 5", "dedicated % 10"]


def test_the_hosts_own_numbers_are_masked() -> None:
    lines = [
        ("S1", row("cell B28-1", "local id 1, PCI 5", cell="B28-1", tenant="host")),
        ("S2", row("cell B28-2", "local id 2, PCI 5", cell="B28-2", tenant="host")),
    ]
    (group,) = grouped(lines)
    assert (group.row["what"], group.after) == ("cell", "local id …, PCI 5")


@pytest.mark.parametrize("every", [False, True])
def test_every_line_is_there_when_asked_for(capsys: pytest.CaptureFixture[str], every: bool) -> None:
    lines = [(f"S{n:02}", row("PLMN 716-17", "broadcast", cell="B28-1")) for n in range(50)]
    show_plan(plan(lines), every=every)
    said = capsys.readouterr().out
    assert said.count("716-17") == (50 if every else 1)
    assert ("50 stations, 50 cells" in said) is not every
    assert ("minka plans show 42327bc0ca30 --all" in said) is not every


def test_a_plan_ends_with_the_command_that_applies_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_conclusion(plan([("S1", row("x", "y"))]))
    assert capsys.readouterr().out.endswith("Apply it with: minka apply 42327bc0ca30\n")


def test_long_words_are_whole_where_nobody_has_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    word = "a-very-long-name-" * 30
    show_plan(plan([("S1", row(word, word, cell="B28-1"))]))
    assert capsys.readouterr().out.count(word) == 2


def test_a_fresh_fleet_is_shown_how_to_begin() -> None:
    names = [f"S{n}" for n in range(3)]
    said = sentence(plan([], unplanned=dict.fromkeys(names, "in whatever words"), observed_only=names))
    assert "all 3 devices are left out" in said
    assert said.endswith("Adopt them with: minka device adopt region=cusco")


def test_nothing_to_do_is_said() -> None:
    assert sentence(plan([], unchanged=["S1"])) == "Nothing to do: 1 device carries what it should."
    dark = {"code": "not-read", "station": "DU-1", "severity": "warning", "message": "nobody knows"}
    made = plan([], unchanged=["DU-1"], selector="function=DU-1", findings=[dark])
    assert sentence(made) == "Nothing to do: 1 function carries what it should, as far as the pools that answered show."
    made = plan([], unchanged=["DU-1", "DU-2"], selector="region=cusco,function=DU-*")
    assert sentence(made) == "Nothing to do: 2 functions carry what they should."
    made = plan([], unchanged=["RT-1", "RT-2"], selector="router=*")
    assert sentence(made) == "Nothing to do: 2 routers carry what they should."
    made = plan([], unchanged=["edge-1"], selector="device=edge-1")
    assert sentence(made) == "Nothing to do: 1 device carries what it should."


def orphans(**changed: Any) -> dict[str, Any]:
    found = {"nodes": {"bitel": 395}, "devices": 24, "remove": {"bitel": 395}, "expect_stations": 24}
    return found | {"identities": False, "afterwards": False} | changed


def test_orphans_are_told_last_with_the_command_that_removes_them() -> None:
    made = plan([], unchanged=["S1", "S2"], orphans=orphans())
    assert sentence(made).splitlines() == [
        "Nothing planned: 2 devices stay as they are.",
        "395 nodes of bitel on 24 devices are orphaned: nothing asks for them any more.",
        "Remove the orphaned nodes with: minka plan region=cusco --remove bitel=395 --expect 24",
    ]
    made = plan([("S1", row("x", "y"))], selector="*", orphans=orphans(expect_stations=None, afterwards=True))
    assert sentence(made).splitlines()[-2:] == [
        "Apply it with: minka apply 42327bc0ca30",
        "Then remove the orphaned nodes with: minka plan --remove bitel=395",
    ]
    two = {"bitel": 2, "host": 1}
    made = plan([], selector="region=cusco,!PE-1", orphans=orphans(nodes=two, remove={"bitel": 2}, identities=True))
    assert sentence(made).splitlines()[-2:] == [
        "2 nodes of bitel and 1 node of host on 24 devices are orphaned: nothing asks for them any more.",
        (
            "Remove those orphaned nodes that may go with: minka plan 'region=cusco,!PE-1' --remove bitel=2 --expect 24"
            " --identities"
        ),
    ]
    held = plan([], unchanged=["S1"], orphans=orphans(nodes={"bitel": 1}, devices=1, remove={}))
    assert sentence(held).splitlines()[-2:] == [
        "1 node of bitel on 1 device is orphaned: nothing asks for it any more.",
        "Orphaned nodes stay that hold nodes which have to stay.",
    ]


def test_what_a_plan_comes_to_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    extent = {"added": 2444, "changed": 24, "removed": 0, "cells_locked": 1, "cells_unlocked": 0, "people": 425_199}
    show_extent(plan([("S1", row("x", "y"))]), extent)
    show_extent(plan([("S1", row("x", "y"))], orphans=orphans()), extent | {"cells_locked": 12})
    show_extent(plan([]), dict.fromkeys(extent, 0) | {"cells_unlocked": 3, "people": 12})
    assert capsys.readouterr().out.splitlines() == [
        "2,444 added, 24 changed, 0 removed; 1 cell locked, 425,199 people reached",
        "2,444 added, 24 changed, 0 removed, 395 orphaned; 12 cells locked, 425,199 people reached",
        "0 added, 0 changed, 0 removed; 0 cells locked, 3 cells unlocked, 12 people reached",
    ]


def test_routers_are_distinguished_from_stations(capsys: pytest.CaptureFixture[str]) -> None:
    made = plan([(f"{kind}{n:02}", row("VRF entel", "x")) for kind in "RS" for n in range(40)])
    for change in made["changes"]:
        root = "/Router[" if change["station"].startswith("R") else "/ManagedElement["
        change["phases"] = [{"edits": [{"path": f"{root}{change['station']}]/Vrf[entel]"}]}]
    show_plan(made)
    show_conclusion(made)
    said = capsys.readouterr().out
    assert "40 routers" in said
    assert "40 stations and 40 routers change for entel" in said
    assert sentence({**made, "changes": made["changes"][:1]}).startswith("Plan 42327bc0ca30: 1 router changes")


def test_outage_interruption_and_removals_are_said() -> None:
    made = plan([("S1", row("x", "y"))], removals={"bitel": 42}, unchanged=["S2"])
    made["changes"][0] |= {"outage": {"kind": "timed", "seconds": 40}, "interrupted": ["claro"]}
    said = sentence(made)
    assert "1 station changes for entel; cells are off air for up to 40 s, interrupting claro too" in said
    assert "removes 42 nodes of bitel; 1 stays as it is." in said


def test_findings_of_a_kind_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [{"severity": "warning", "code": "orphan", "message": f"S{n} has [orphans]"} for n in range(9)]
    show_plan(plan([], findings=[*findings, {"severity": "info", "code": "x", "message": "quiet"}]))
    said = capsys.readouterr().out
    assert "warning S0 has [orphans]" in said
    assert "… and 6 more of orphan" in said
    assert "quiet" not in said


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (1, "1 other contract warning concerns none of these devices; all of them: minka network check DIRECTORY\n"),
        (2, "2 other contract warnings concern none of these devices; all of them: minka network check DIRECTORY\n"),
        (0, ""),
    ],
)
def test_warnings_about_other_devices_are_counted(capsys: pytest.CaptureFixture[str], others: int, said: str) -> None:
    show_plan(plan([], elsewhere=others) if others else plan([]))
    assert capsys.readouterr().out == said


def test_unlocking_interrupts_nobody() -> None:
    made = plan([("S1", row("administrative state", "UNLOCKED", before="LOCKED"))])
    made["changes"][0] |= {"interrupted": ["bitel"], "phases": [{"kind": "unlock", "edits": []}]}
    assert "off air" not in sentence(made)


def test_devices_left_out_for_one_reason_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Though the reason names each device, its address and its port."""
    away = {f"PE-{n}": f"PE-{n} (10.0.0.{n} port {4000 + n}) can't be reached: no answer in time" for n in range(24)}
    show_left_out(away | {"PE-X": "not adopted: it is only observed"})
    assert capsys.readouterr().out.splitlines() == [
        "left out 24 devices: can't be reached: no answer in time (PE-0, PE-1, PE-2 and 21 more)",
        "left out PE-X: not adopted: it is only observed",
    ]


def test_devices_that_need_minka_to_undo_a_change_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    changes = [{"station": f"PE-{n}", "reverts": False} for n in range(42)]
    _show_weak([*changes, {"station": "PE-Y", "reverts": True}])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        "42 devices can't take a change back without Minka (no confirmed commit that can be trusted)"
    )
    assert "unless a router, function or central unit in it sets the order" in line
    assert line.endswith("PE-39 and 2 more")


def test_findings_that_differ_in_the_station_alone_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        {"severity": "warning", "code": "not-read", "station": f"S{n}", "message": f"S{n}: no answer in time"}
        for n in range(24)
    ]
    more = {"severity": "warning", "code": "not-read", "station": "S99", "message": "S99: refused"}
    show_findings({"findings": [*found, more]})
    assert capsys.readouterr().out.splitlines() == [
        *("warning 24 devices: no answer in time (S0, S1, S2 and 21 more)", "warning S99: refused"),
    ]


def test_what_a_device_does_not_offer_is_said_and_other_information_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    lacks = {"severity": "info", "code": "not-offered", "station": "S1", "message": "S1 does not offer PerfMetricJob"}
    other = {"severity": "info", "code": "unknown-node", "station": "S1", "message": "S1 has 1 unknown node"}
    show_findings({"findings": [lacks, other]})
    assert capsys.readouterr().out.splitlines() == ["info S1 does not offer PerfMetricJob"]
    nothing = plan([]) | {"findings": [lacks], "unchanged": ["S1"]}
    assert sentence(nothing) == "Nothing to do: 1 device carries what it should, as far as it is offered."


@pytest.mark.parametrize(("kind", "said"), [("until-unlocked", "until unlocked"), ("for-good", "for good")])
def test_an_outage_that_the_change_does_not_end_has_no_length(kind: str, said: str) -> None:
    made = plan([("S1", row("administrative state", "LOCKED")), ("S2", row("x", "y"))])
    made["changes"][0] |= {"outage": {"kind": kind, "seconds": 0}, "interrupted": ["bitel"]}
    made["changes"][1] |= {"outage": {"kind": "timed", "seconds": 900}}
    assert f"cells are off air {said}, interrupting bitel too" in sentence(made)
