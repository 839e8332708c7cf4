"""Which service alarms take away now: what minutes count as lost, cell by cell."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.intent.delivery import CarriedLink
from controller.intent.impact import Sharing
from controller.intent.lost_service import StandingAlarm, losses
from controller.intent.outages import Outages
from controller.models.alarm import ObjectClass
from controller.models.incident import Loss
from controller.models.network import Network
from tests.unit.intent.test_outages import AT, BEGIN, END, MME, OTHER_MME, era, link, network, off_air, spell
from tests.unit.plan import samples


def behind_a_hill() -> Network:
    """The same; the first site is behind a hill."""
    content = network().model_dump(mode="json")
    content["backhaul"] = [{"id": "core", "kind": "fibre"}, {"id": "hill", "kind": "fibre", "parent": "core"}]
    for site in content["sites"]:
        site["backhaul"] = "hill" if site["id"] == "site-1" else "core"
    return Network.model_validate(content)


S1U = f"{samples.LTE}/EP_S1U[alfa-s1u]"
#: What may stand at S1, and above it.
FAULTS = {
    "cell": off_air(0, 1),
    "mme": link(0, 1),
    "mme-2": link(0, 1, OTHER_MME),
    "s1u": link(0, 1, S1U, "user-plane-down"),
    "all": spell("all-core-links-down", 0, 1),
    "lost": spell("configuration-lost", 0, 1),
    "dark": spell("station-unreachable", 0, 1),
    "mains": spell("mains-lost", 0, 1),
    "cut": spell("backhaul-down", 0, 1, "hill", station="", object_class=ObjectClass.BACKHAUL),
    "spur": spell("backhaul-down", 0, 1, "core", station="", object_class=ObjectClass.BACKHAUL),
}


@given(st.sets(st.sampled_from(sorted(FAULTS))), st.sets(st.sampled_from((MME, OTHER_MME, S1U))))
def test_what_alarms_take_away_now_is_what_minutes_count(stand: set[str], carried: set[str]) -> None:
    """Each cell of a tenant without service in a minute is one cell-minute of it."""
    made, links = behind_a_hill(), {"S1": [CarriedLink("alfa", path, BEGIN, END) for path in sorted(carried)]}
    counted = Outages([FAULTS[name] for name in stand], [era(made)], links).minutes()
    found = losses([now(name) for name in stand], links, Sharing(made, made.day(AT)))
    cells: dict[str, set[str]] = {}
    for by_tenant in found.values():
        for tenant, loss in by_tenant.items():
            cells.setdefault(tenant, set()).update(loss.cells)
    assert {tenant: len(names) for tenant, names in cells.items()} == {
        one.tenant: one.lost for one in counted if one.lost
    }


def now(name: str, minute: int = 0) -> StandingAlarm:
    """A fault that stands since some minute."""
    alarm = FAULTS[name].alarm
    at = AT + timedelta(minutes=minute)
    return StandingAlarm(name, alarm.station, alarm.object, alarm.probable_cause, at, alarm.cells, alarm.tenants)


def test_service_is_lost_from_the_last_fault_on_that_it_takes() -> None:
    made, links = behind_a_hill(), {"S1": [CarriedLink("alfa", path, BEGIN, END) for path in (MME, OTHER_MME)]}
    sharing = Sharing(made, made.day(AT))
    both_down = losses([now("mme", 2), now("mme-2", 7)], links, sharing)
    together = {"alfa": Loss(since=AT + timedelta(minutes=7), cells=("S1/L1",))}
    assert both_down == {"mme": together, "mme-2": together}
    for first, last in ((3, 9), (9, 3)):
        cut_off = losses([now("cut", first), now("dark", last)], {}, sharing)
        assert {loss.since for loss in cut_off["dark"].values()} == {AT + timedelta(minutes=9)}
        assert cut_off["cut"] == {}
    assert losses([now("dark"), now("mains")], {}, sharing) == {"dark": {}, "mains": {}}, "nobody knows"
