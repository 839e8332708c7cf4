"""What excuses a second is a root that stood in it: not one that came when the fault was over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.intent.blame import RootTime, blames
from controller.intent.outages import Outages
from controller.models.alarm import ObjectClass
from tests.unit.intent.test_outages import AT, END, MME, OTHER_MME, era, link, network, off_air, spell, times


def _root(cause: str, since: float, until: float, *, present: bool = True, **fields: Any) -> RootTime:
    alarm = spell(cause, 0, 0, **{"managed_object": "station"} | fields).alarm.model_copy(update={"id": "root"})
    return RootTime(alarm, AT + timedelta(minutes=since), AT + timedelta(minutes=until), present)


def _core(since: float, until: float, node: str = "alfa-mme", *, present: bool = True) -> RootTime:
    known = {"managed_object": node, "object_class": ObjectClass.CORE_NODE, "station": "", "tenant": "alfa"}
    return _root("core-node-down", since, until, present=present, **known)


def _excused(since: int, until: int, *roots: RootTime, core: bool) -> object:
    """When an alarm is put down to the mains or a core, of one that stood between two minutes."""
    one = link(since, until) if core else off_air(since, until)
    alarm = one.alarm.model_copy(update={"raised": one.since, "cleared": one.until})
    told = one._replace(alarm=alarm, cause=alarm.probable_cause, blames=blames(alarm, one.since, roots, END))
    return told.put_down_to(("core-node-down" if core else "mains-lost",))


@pytest.mark.parametrize("core", [False, True])
@pytest.mark.parametrize(
    ("stood", "root", "excused"),
    [
        ((0, 10), (15, 40), ()),
        ((0, 10), (10, 40), ()),
        ((15, 40), (15.5, 41), (15, 40)),
        ((10, 40), (15, 41), (10, 40)),
        ((9, 40), (15, 41), ()),
        ((0, 60), (0, 20), (0, 25)),
        ((0, 23), (0, 20), (0, 23)),
        ((21, 23), (0, 20), ()),
    ],
)
def test_a_fault_is_put_down_to_a_root_only_while_that_stood(
    stood: tuple[int, int], root: tuple[float, float], excused: tuple[int, int] | tuple[()], core: bool
) -> None:
    """It may be seen five minutes before its root, and outlive it by five; one that stood longer is none."""
    above = _core(*root) if core else _root("mains-lost", *root)
    assert _excused(*stood, above, core=core) == (times(excused) if excused else ())


def test_a_symptom_stays_one_when_its_root_comes_again_soon() -> None:
    """As below a fibre that flaps; not when it stood by itself for a while."""
    first = _root("mains-lost", 0, 10)
    assert _excused(0, 40, first, _root("mains-lost", 14, 30), core=False) == times((0, 35))
    assert _excused(0, 40, first, _root("mains-lost", 16, 30), core=False) == times((0, 15))


def test_a_link_is_put_down_to_its_own_core_node_alone() -> None:
    """All lost core nodes of a tenant are one incident."""
    assert _excused(0, 30, _core(0, 30, "alfa-mme-2"), core=True) == ()
    assert _excused(0, 30, _core(0, 30, "alfa-mme-2"), _core(2, 20), core=True) == times((0, 25))
    down = []
    for path in (MME, OTHER_MME):
        one = link(0, 30, path)
        alarm = one.alarm.model_copy(update={"raised": one.since, "cleared": one.until, "id": path})
        blamed = blames(alarm, one.since, [_core(0, 30)], END)
        down.append(one._replace(alarm=alarm, cause="core-link-down", blames=blamed))
    (alfa,) = Outages(down, [era(network())], {}).minutes()
    assert (alfa.lost, alfa.own_core) == (30, 0), "the other link is the host's"


def test_what_was_put_down_to_a_root_stays_so_when_its_incident_becomes_part_of_another() -> None:
    """A core was lost until 10, and what it stands behind from 15 on: each second is that of the first that stood."""
    remote = _root("remote-end-down", 15, 30, station="", managed_object="gateway")
    assert _excused(0, 10, remote, _core(0, 10, present=False), core=True) == times((0, 10))
    assert _excused(14, 30, remote, _core(14, 30, present=False), core=True) == ()
    one = off_air(0, 10)
    alarm = one.alarm.model_copy(update={"raised": one.since, "cleared": one.until})
    for station, excused in (("S1", times((0, 10))), ("S2", ())):
        battery = _root("on-battery", 0, 10, present=False, station=station)
        blamed = blames(alarm, one.since, [battery, _root("mains-lost", 15, 40)], END)
        assert one._replace(cause="cell-off-air", blames=blamed).put_down_to(("on-battery",)) == excused
