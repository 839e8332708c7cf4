"""Outages of core links in a station's AlarmList that no two reads in a row saw: only what lies between them counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.brief_outages import list_read
from controller.assurance.station_alarms import ListReports
from controller.intent.brief_outages import ListRead
from controller.models.alarm import LOST_LINK_WORDS, AlarmRecord, PerceivedSeverity
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.network import HOST
from controller.nrm.tree import Observed, steps
from tests.unit.plan import samples

AT = samples.NOW
LINK = f"{samples.LTE}/EP_S1C[beta-mme]"
OTHER = f"{samples.LTE}/EP_S1C[alfa-mme]"
LEDGER = samples.ledger(samples.network())
CLEARED = PerceivedSeverity.CLEARED
#: Seconds after AT of the read before and of this one.
BEFORE, READ = -30.0, 0.0


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def record(raised: float | None, cleared: float | None, what: str = LINK, **fields: Any) -> AlarmRecord:
    """A record of what is over, with times in seconds after AT."""
    name = ",".join(f"{kind}={key}" for kind, (key,) in steps(what))
    begun, over = (None if one is None else at(one) for one in (raised, cleared))
    made = AlarmRecord("a-1", name, "", "lossOfSignal", "", CLEARED, "", raised=begun, cleared=over)
    return replace(made, **fields)


def health(seconds: float, state: ServiceState = ServiceState.UP, since: float | None = None, **link: Any) -> Health:
    """Health by a read, with both links; ``link`` is about beta's."""
    beta = LinkHealth(path=LINK, tenant="beta", kind="S1C", state=state, since=None if since is None else at(since))
    alfa = LinkHealth(path=OTHER, tenant="alfa", kind="S1C", state=ServiceState.UP)
    links = beta.model_copy(update=link), alfa
    return Health(station="S1", at=at(seconds), read=at(seconds), reachable=True, links=links)


_BEFORE, _NOW = health(BEFORE), health(READ)


def told(
    records: Iterable[AlarmRecord] | None,
    before: Health | None = _BEFORE,
    now: Health = _NOW,
    read: float = READ,
) -> ListRead:
    """What a read tells that ended at a time."""
    listed = None if records is None else tuple(records)
    reports = ListReports.of("S1", Observed({}, records=listed), now.at, LEDGER)
    return list_read(reports, before, now, at(read), LEDGER)


def times(records: Iterable[AlarmRecord], *args: Any, **more: Any) -> list[tuple[float, float]]:
    """Begin and end of outages of beta's link, in seconds after AT."""
    found = told(records, *args, **more).outages
    assert {(one.station, one.path, one.tenants) for one in found} <= {("S1", LINK, ("beta",))}
    return [((one.since - AT).total_seconds(), (one.until - AT).total_seconds()) for one in found]


def test_a_record_between_two_reads_is_an_outage_by_its_own_times() -> None:
    assert times([record(-25, -3.5)]) == [(-25, -3.5)]


def test_where_the_station_keeps_no_list_it_tells_nothing() -> None:
    assert told(None) == ListRead("S1", AT, kept=False)
    assert told([]) == ListRead("S1", AT, kept=True)


@pytest.mark.parametrize("cause", ["lossOfSignal", "loss-of-frame", "Unavailable", "connectionEstablishmentError"])
def test_a_cause_that_says_that_the_link_is_lost_counts_however_it_is_spelled(cause: str) -> None:
    assert times([record(-20, -10, cause=cause)]) == [(-20, -10)]


@pytest.mark.parametrize("cause", ["degradedSignal", "excessiveErrorRate", "thresholdCrossed", "", "lossOfSignal2"])
@pytest.mark.parametrize("seen", [False, True])
def test_another_cause_may_tell_of_a_link_that_works_badly(cause: str, *, seen: bool) -> None:
    before = health(BEFORE, ServiceState.DOWN, since=-35) if seen else health(BEFORE)
    assert times([record(-40 if seen else -20, -10, cause=cause)], before) == []


@pytest.mark.parametrize(
    ("raised", "cleared"),
    [
        (-31.5, -10),  # it stood at the read before, which saw the link up
        (-90, -60),  # both before it
        (-20, 1),  # it ends later than this read
        (5, 9),  # both later
        (-10, -20),  # it ends before it begins
        (-10, -10),
        (None, -10),
        (-20, None),
        (-3e9, 3e9),
    ],
)
def test_times_that_can_not_be_tell_nothing(raised: float | None, cleared: float | None) -> None:
    assert times([record(raised, cleared)]) == []


def test_a_time_that_is_rounded_down_begins_at_the_read_before() -> None:
    assert times([record(-30.9, -10)]) == [(-30, -10)]


def test_what_ended_while_the_station_was_read_counts_at_once_and_not_again() -> None:
    """A read begins earlier than it ends: otherwise what goes over its begin would be part of no pair of reads."""
    over = record(-20, 0.6)
    assert times([over], read=0.8) == [(-20, 0.6)]
    assert times([over], health(READ), health(30), read=30.8) == []


def test_where_the_read_before_saw_the_link_down_it_is_known_since_when() -> None:
    """Also where the station's own time of the begin lies before the last read in which it worked."""
    before = health(BEFORE, ServiceState.DOWN, since=-42)
    assert times([record(-42, -10)], before) == [(-42, -10)]
    assert times([record(-1000, -10)], before) == [(-42, -10)]
    assert times([record(-42, -25), record(-20, -10)], before) == [(-42, -25), (-20, -10)]


def test_an_outage_through_a_time_without_an_answer_is_known_by_the_list() -> None:
    silent = health(BEFORE).model_copy(update={"at": at(-10), "reachable": False})
    assert times([record(-29, -1)], silent) == [(-29, -1)]


@pytest.mark.parametrize("where", ["before", "now"])
@pytest.mark.parametrize("link", [{"locked": True}, {"missing": True}])
def test_links_that_somebody_locked_or_that_were_gone_have_no_outage(where: str, link: dict[str, Any]) -> None:
    known = {"before": health(BEFORE), "now": health(READ)}
    known[where] = health(BEFORE if where == "before" else READ, **link)
    assert times([record(-20, -10)], known["before"], known["now"]) == []


def test_a_link_of_which_the_station_does_not_tell_the_state_has_none() -> None:
    assert times([record(-20, -10)], now=health(READ, ServiceState.UNKNOWN)) == []


def test_a_link_that_went_down_again_had_an_outage_before() -> None:
    assert times([record(-20, -10)], now=health(READ, ServiceState.DOWN, since=-5)) == [(-20, -10)]


def test_the_first_read_ever_tells_of_none() -> None:
    never = health(BEFORE).model_copy(update={"read": None})
    assert (times([record(-20, -10)], None), times([record(-20, -10)], never)) == ([], [])


def test_only_our_core_links_of_tenants_count() -> None:
    cell = samples.LTE_CELL
    foreign = f"{samples.LTE}/EP_S1C[foreign]"
    assert (
        told([record(-20, -10, cell), record(-20, -10, foreign), record(-20, -10, "/ManagedElement[S1]")]).outages == ()
    )
    shared = dict(LEDGER) | {LINK: LEDGER[LINK].model_copy(update={"owners": ("beta", "gamma")})}
    hosts = dict(LEDGER) | {LINK: LEDGER[LINK].model_copy(update={"owners": (HOST,)})}
    reports = ListReports.of("S1", Observed({}, records=(record(-20, -10),)), AT, LEDGER)
    (one,) = list_read(reports, health(BEFORE), health(READ), AT, shared).outages
    assert one.tenants == ("beta", "gamma")
    assert list_read(reports, health(BEFORE), health(READ), AT, hosts).outages == ()


def test_a_record_that_stands_is_no_outage_that_is_over() -> None:
    assert times([record(-20, -10, severity=PerceivedSeverity.MAJOR)]) == []


def test_thousands_of_records_are_so_many_and_no_more() -> None:
    many = [record(-30 + n / 500, -30 + n / 500 + 0.001) for n in range(10_000)]
    found = times(many)
    assert len(found) == 200
    assert found == sorted(found)


@given(
    st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), max_size=30),
    st.sampled_from(sorted(LOST_LINK_WORDS)),
)
def test_whatever_a_list_says_outages_lie_between_the_reads_and_do_not_overlap(
    spans: list[tuple[float, float]], cause: str
) -> None:
    records = [record(*span, cause=cause) for span in spans]
    found = times([*records, *records])
    bounds = [bound for one in found for bound in one]
    assert bounds == sorted(bounds)
    assert all(BEFORE <= bound <= READ for bound in bounds)
    assert found == times(reversed(records))
