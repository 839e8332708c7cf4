"""Where a fault may be, if what is known can't tell places apart."""

from __future__ import annotations

import pytest

from controller.intent.suspects import suspects
from controller.models.alarm import Alarm, ObjectClass
from controller.models.incident import Suspect
from tests.unit.intent.backhaul_tree import network
from tests.unit.intent.test_roots import ALL_LINKS, MAINS, ROUTER, UNREACHABLE, alarm, cell, cut, lost


def found(one: Alarm, *working: str) -> tuple[Suspect, ...]:
    return suspects(network(), one, lambda devices: not set(working).isdisjoint(devices))


@pytest.mark.parametrize(
    ("one", "working", "places"),
    [
        # A device of its own site answers: the link to the site works.
        (alarm("S1", **UNREACHABLE), ["R1"], ["S1"]),
        (alarm("S4", **ALL_LINKS), ["S5"], ["S4"]),
        # Another site at the same node answers: so does the node, and what is above it.
        (alarm("S1", **UNREACHABLE), ["S2"], ["S1", "site-1"]),
        (ROUTER, ["S2"], ["R1", "site-1"]),
        (alarm("S3", **UNREACHABLE), ["S5", "S1"], ["S3", "site-3"]),
        # One station below one link, or several that are dark.
        (alarm("S6", **UNREACHABLE), ["S1"], ["S6", "site-6", "spur"]),
        (alarm("S1", **UNREACHABLE), ["S3"], ["S1", "site-1", "fibre"]),
        (alarm("S3", **UNREACHABLE), ["S1"], ["S3", "site-3", "radio", "hop"]),
        (alarm("S1", **UNREACHABLE), ["S6"], ["S1", "site-1", "fibre", "trunk"]),
        (alarm("S1", **UNREACHABLE), [], ["S1", "site-1", "fibre", "trunk", "core"]),
        # Nothing but the radio hangs on the hop; on the trunk hangs more.
        (cut("radio"), ["S1"], ["radio", "hop"]),
        (cut("fibre"), ["S3"], ["fibre"]),
        (cut("trunk"), ["S6"], ["trunk"]),
        (cut("trunk"), [], ["trunk", "core"]),
        (cut("gone-from-the-files"), [], []),
        # These have one place.
        (alarm("S6", **MAINS), [], []),
        (cell("S6"), [], []),
        (lost("claro", "mme-1"), [], []),
        (alarm("gone", **UNREACHABLE), [], []),
    ],
    ids=lambda one: one.id if isinstance(one, Alarm) else "-".join(one),
)
def test_a_link_is_suspected_up_to_the_first_behind_which_something_works(
    one: Alarm, working: list[str], places: list[str]
) -> None:
    assert [place.name for place in found(one, *working)] == places


def test_each_place_is_named_with_what_tells_whether_it_is_there() -> None:
    station, site, link, *_ = found(alarm("S6", **UNREACHABLE), "S1")
    assert (station.kind, site.kind, link.kind) == (ObjectClass.STATION, ObjectClass.BACKHAUL, ObjectClass.BACKHAUL)
    assert station.line == (
        "the equipment of S6: it is if spur has signal from site-6; without signal it is the link, or the site has no "
        "power"
    )
    assert site.line.startswith("the link between site-6 and spur: it is if spur has no signal from site-6 although ")
    assert link.line == (
        "the link between spur and core: it is if spur itself does not answer while core does; if it answers, the link "
        "above spur works, and the fault is below"
    )
    assert found(cut("core"))[0].words == "the link above core"
