"""A side is told that something is over only when it is, and of nothing that no agreement in force covers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from controller.intent.impact import Sharing
from controller.intent.incident_news import SideNews, news
from controller.models.alarm import CORE_LINK_DOWN, CORE_NODE_DOWN, Alarm, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.approval import Notice, NoticeKind
from controller.models.incident import Incident
from controller.models.network import Network
from tests.unit.plan import samples

BEGAN = datetime(2026, 3, 2, 8, tzinfo=UTC)
LATER = BEGAN + timedelta(hours=1)
MAJOR = PerceivedSeverity.MAJOR
DAY = date(2026, 3, 2)


def sharing(*, beta_until: str | None = None, only: str | None = None) -> Sharing:
    """Who shares S1 and S2: alfa, and beta until a day, or beta on one station only."""
    content = samples.network(("alfa", "beta")).model_dump(mode="json")
    content["agreements"][1]["validity"] |= {"end": beta_until}
    if only:
        content["agreements"][1]["scope"] = {"stations": [only]}
    return Sharing(Network.model_validate(content), DAY)


def alarm(name: str, cause: str, *cells: str, incident: str = "i-1", over: bool = False, **more: Any) -> Alarm:
    given: dict[str, Any] = {"station": "S1", "object": name, "tenants": ("alfa", "beta"), "tenant": ""} | more
    return Alarm(
        id=f"a-{name}",
        probable_cause=cause,
        severity=MAJOR,
        source="check",
        specific_problem="",
        text="",
        raised=BEGAN,
        changed=BEGAN,
        cells=cells,
        incident=incident,
        state=AlarmState.CLEARED if over else AlarmState.RAISED,
        cleared=LATER if over else None,
        **given,
    )


def incident(**more: Any) -> Incident:
    given: dict[str, Any] = {"id": "i-1", "root": "a-root", "opened": BEGAN, "changed": BEGAN, "tenant": ""}
    given |= {"station": "S1", "object": "station", "object_class": ObjectClass.STATION}
    given |= {"probable_cause": "mains-lost", "specific_problem": ""}
    return Incident(**given | more)


def told(what: str, *cells: str) -> Notice:
    return Notice(
        id="n-1",
        tenant="beta",
        kind=NoticeKind.INCIDENT_RAISED,
        at=BEGAN + timedelta(minutes=1),
        incident="i-1",
        cells=cells,
        since=BEGAN,
        what=what,
        severity=MAJOR,
    )


def the(found: SideNews | None) -> SideNews:
    assert found is not None
    return found


def test_a_fault_that_stands_in_another_incident_is_not_told_to_be_over() -> None:
    moved = alarm("link", CORE_LINK_DOWN, "S1/L1", incident="i-2")
    found = the(news(incident(), [], sharing(), "beta", told(CORE_LINK_DOWN, "S1/L1"), [moved]))
    assert (found.kind, found.what, found.cells) == (NoticeKind.INCIDENT_CONTINUED, CORE_LINK_DOWN, ("S1/L1",))
    assert "is not over: it is part of incident i-2 now" in found.text


def test_of_a_split_incident_only_what_ended_is_told_to_be_over() -> None:
    moved = alarm("link", CORE_LINK_DOWN, "S1/L1", incident="i-2")
    again = alarm("link", CORE_LINK_DOWN, "S1/L1", over=True)
    ended = alarm("root", "mains-lost", "S1/L1", "S1/N1", over=True)
    known = told(CORE_LINK_DOWN, "S1/L1", "S1/N1")
    found = the(news(incident(), [], sharing(), "beta", known, [moved], [again, ended]))
    assert (found.kind, found.what, found.cells) == (NoticeKind.INCIDENT_CONTINUED, "mains-lost", ("S1/N1",))
    assert "mains-lost is over, but not all that came with it: that goes on as incident i-2" in found.text
    others = ended.model_copy(update={"tenants": ("alfa",)})
    found = the(news(incident(), [], sharing(), "beta", known, [moved], [again, others]))
    assert "is not over" in found.text, "nothing of this side ended"


def test_what_a_tenant_shares_no_longer_is_told_no_more_and_not_that_it_is_over() -> None:
    stands = alarm("root", "mains-lost", "S1/L1", tenants=("alfa",))
    known = told("mains-lost", "S1/L1")
    for left in (sharing(beta_until="2026-03-01"), sharing(only="S2")):
        found = the(news(incident(), [stands], left, "beta", known))
        assert found.kind is NoticeKind.INCIDENT_WITHDRAWN
        assert "mains-lost is no longer told: no agreement in force covers its cells" in found.text
        withdrawn = known.model_copy(update={"kind": found.kind})
        assert news(incident(), [stands], left, "beta", withdrawn) is None
    found = the(news(incident(), [], sharing(), "beta", known))
    assert (found.kind, "is over" in found.text) == (NoticeKind.INCIDENT_CLEARED, True)


def test_between_two_rungs_a_side_reads_that_a_repair_was_tried_and_not_that_nobody_has_begun() -> None:
    standing = alarm("root", CORE_LINK_DOWN, "S1/L1")
    assert the(news(incident(), [standing], sharing(), "beta", None)).doing == "nobody has begun yet"
    failed = the(news(incident(), [standing], sharing(), "beta", None, tried={standing.id}))
    assert failed.doing == "a repair was tried and did not cure it"
    assert failed.text.endswith(failed.doing)
    acts = standing.model_copy(update={"state": AlarmState.REPAIRING})
    assert the(news(incident(), [acts], sharing(), "beta", None, tried={acts.id})).doing == "a repair is under way"


def test_a_tenant_gets_notices_with_an_agreement_in_force_on_what_suffers_only() -> None:
    link = alarm("link", CORE_LINK_DOWN, tenants=("beta",))
    assert news(incident(), [link], sharing(), "beta", None) is None, "none of its cells suffers"
    node: dict[str, Any] = {"station": "", "object_class": ObjectClass.CORE_NODE, "tenants": ("beta",)}
    core = alarm("mme-1", CORE_NODE_DOWN, **node)
    shared = alarm("link", CORE_LINK_DOWN, "S1/L1", tenants=("beta",))
    for one in (core, shared):
        assert the(news(incident(), [one], sharing(), "beta", None)).kind is NoticeKind.INCIDENT_RAISED
        assert news(incident(), [one], sharing(beta_until="2026-03-01"), "beta", None) is None
        assert the(news(incident(), [one], sharing(beta_until="2026-03-01"), "host", None)).what


def test_a_tenant_is_told_that_people_know_of_a_fault_and_not_who_or_when() -> None:
    stands = alarm("root", "mains-lost", "S1/L1")
    known = told("mains-lost", "S1/L1").model_copy(update={"doing": "nobody has begun yet"})
    acknowledged = stands.model_copy(update={"acknowledged": LATER, "acknowledged_by": "ana"})
    found = the(news(incident(), [acknowledged], sharing(), "beta", known))
    assert (found.kind, found.doing) == (NoticeKind.INCIDENT_UPDATED, "people know of it")
    assert "ana" not in found.text
    assert f"{LATER:%H:%M}" not in found.text
