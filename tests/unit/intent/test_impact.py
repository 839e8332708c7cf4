"""Whom an alarm concerns: cells that suffer, and the tenants that have an agreement in force on them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from controller.intent.impact import Impact, Sharing, object_class_of
from controller.models.alarm import CONFIGURATION_DRIFT, Alarm, AlarmReport, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.network import Network
from tests.unit.plan import samples

AT = datetime(2026, 6, 15, tzinfo=UTC)
LTE_CELL, NR_CELL = samples.LTE_CELL, samples.NR_CELL
LINK = f"{samples.LTE}/EP_S1C[alfa-mme-1]"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC2cbdLo6XoWJLlGNBaIB6yDmYGs8RZ9jRyWd2hWGYUF"


def network(**changes: Any) -> Network:
    """Alfa on one cell of S1, beta on all of both stations; gamma's agreement is over. A router stands at S1's site."""
    content = samples.network(("alfa", "beta", "gamma")).model_dump(mode="json")
    alfa, beta, gamma = content["agreements"]
    alfa["scope"] = {"cells": ["S1/L1"]}
    gamma["validity"] = {"start": "2024-01-01", "end": "2026-06-14"}
    content["routers"] = [{"id": "R1", "site": "site-1", "address": "192.0.2.9", "host_key": HOST_KEY}]
    assert (alfa["tenant"], beta["tenant"], gamma["tenant"]) == ("alfa", "beta", "gamma")
    return Network.model_validate(content | changes)


def report(managed_object: str, station: str = "S1", **more: Any) -> AlarmReport:
    known = {"probable_cause": "x", "severity": PerceivedSeverity.MAJOR, "source": "check", "at": AT}
    return AlarmReport(**known | {"station": station, "object": managed_object} | more)


def impact(*about: Any, owners: tuple[str, ...] = (), day: date = samples.DAY, **more: Any) -> Impact:
    return Sharing(network(), day).impact_of(report(*about, **more), owners)


BOTH_HALVES = {"alfa": ("S1/L1",), "beta": ("S1/L1", "S1/N1")}


@pytest.mark.parametrize(
    ("managed_object", "tenants"),
    [
        (LTE_CELL, {"alfa": ("S1/L1",), "beta": ("S1/L1",)}),
        ("S1/L1", {"alfa": ("S1/L1",), "beta": ("S1/L1",)}),
        ("EUtranCellFDD=L1", {"alfa": ("S1/L1",), "beta": ("S1/L1",)}),
        (NR_CELL, {"beta": ("S1/N1",)}),
        (f"{NR_CELL}/pLMNInfoList[716,02,000002,1]", {"beta": ("S1/N1",)}),
        ("S1/unknown", {}),
        ("NRCellDU=unknown", {}),
        ("station", BOTH_HALVES),
        ("ru-1", BOTH_HALVES),
        ("fan/1", BOTH_HALVES),
        ("/x", BOTH_HALVES),
        ("/x[", BOTH_HALVES),
        ("/", BOTH_HALVES),
        ("//[1]", BOTH_HALVES),
        ("/x[1]/", BOTH_HALVES),
        ("a b=c", BOTH_HALVES),
        ("=", BOTH_HALVES),
        ("", BOTH_HALVES),
    ],
)
def test_a_cell_is_itself_and_what_else_fails_in_a_station_is_all_its_cells(
    managed_object: str, tenants: dict[str, tuple[str, ...]]
) -> None:
    cells = {cell for its in tenants.values() for cell in its}
    assert impact(managed_object) == Impact(tuple(sorted(cells)), tenants)


def test_the_cells_that_a_source_names_are_believed() -> None:
    assert impact("ru-1", cells=("S1/N1",)) == Impact(("S1/N1",), {"beta": ("S1/N1",)})
    assert impact("ru-1", cells=("S1/N9", "S2/N1")).tenants == BOTH_HALVES, "none of them is one of this station"


def test_a_router_is_all_stations_of_its_site_and_no_other() -> None:
    for managed_object in ("router", "GigabitEthernet0/0/0"):
        assert impact(managed_object, "R1").tenants == BOTH_HALVES


@pytest.mark.parametrize(
    ("managed_object", "owners", "tenants"),
    [
        (LINK, ("alfa",), {"alfa": ("S1/L1",)}),
        (f"{LINK}/localAddress[10.0.0.1,101]", ("alfa", "beta"), {"alfa": ("S1/L1",), "beta": ("S1/L1",)}),
        (LINK, ("host",), {}),
        (LINK, (), {}),
        ("EP_S1C=nobody", (), {}),
        (LINK, ("gamma",), {"gamma": ()}),
    ],
)
def test_a_core_link_concerns_those_whose_it_is_and_nobody_else(
    managed_object: str, owners: tuple[str, ...], tenants: dict[str, tuple[str, ...]]
) -> None:
    assert impact(managed_object, owners=owners).tenants == tenants


def test_what_is_one_tenants_own_concerns_that_one_alone() -> None:
    assert impact("station", tenant="beta").tenants == {"beta": ("S1/L1", "S1/N1")}
    assert impact(LINK, tenant="alfa").tenants == {"alfa": ("S1/L1",)}


def test_what_is_wrong_with_the_management_alone_concerns_the_host() -> None:
    assert impact("station", probable_cause=CONFIGURATION_DRIFT) == Impact()


def test_agreements_count_on_the_days_on_which_they_are_in_force() -> None:
    assert set(impact(NR_CELL, day=date(2026, 6, 14)).tenants) == {"beta", "gamma"}
    assert set(impact(NR_CELL, day=date(2023, 6, 14)).tenants) == set()


def test_a_station_that_is_unknown_concerns_nobody() -> None:
    assert impact("station", "S9") == Impact()
    assert impact("record", "") == Impact()


def test_who_shares_the_cells_of_an_alarm_that_stands_may_change_and_whose_link_it_is_does_not() -> None:
    def standing(managed_object: str, *tenants: str) -> Alarm:
        known = report(managed_object).model_dump(exclude={"at", "cells"})
        more = {"id": "a-1", "state": AlarmState.RAISED, "raised": AT, "changed": AT, "cells": ("S1/N1",)}
        return Alarm(**known | more, tenants=tenants)

    later = Sharing(network(), date(2026, 6, 14))
    assert set(later.impact_now(standing("ru-1", "beta")).tenants) == {"beta", "gamma"}
    assert set(later.impact_now(standing(LINK, "alfa")).tenants) == {"alfa"}


@pytest.mark.parametrize(
    ("device", "managed_object", "found"),
    [
        ("S1", LTE_CELL, ObjectClass.CELL),
        ("S1", "S1/L1", ObjectClass.CELL),
        ("S1", "NRCellCU=N1", ObjectClass.CELL),
        ("S1", f"{LTE_CELL}/plmnIdList[716,01]", ObjectClass.STATION),
        ("S1", LINK, ObjectClass.CORE_LINK),
        ("S1", "EP_NgC=x", ObjectClass.CORE_LINK),
        ("S1", "/ManagedElement[S1]/GNBDUFunction[1]/NRSectorCarrier[N1]", ObjectClass.CARRIER),
        ("S1", "station", ObjectClass.STATION),
        ("S1", "fan-1", ObjectClass.STATION),
        ("R1", "router", ObjectClass.ROUTER),
        ("R1", "GigabitEthernet0/0/0", ObjectClass.PORT),
        ("R1", "power-1", ObjectClass.ROUTER),
    ],
)
def test_the_class_of_an_object_is_that_of_what_failed(device: str, managed_object: str, found: ObjectClass) -> None:
    assert object_class_of(network(), device, managed_object) is found
