"""A station that carried something of ours, and answers without the element that it stands in."""

from __future__ import annotations

import pytest

from controller.nrm.tree import Observed
from controller.plan import StationView
from controller.plan.station import NOTHING_TOLD
from tests.unit.plan import samples


@pytest.mark.parametrize(
    ("tells", "recorded", "said"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_plan_warns_of_a_station_that_tells_nothing_of_what_is_on_record(
    tells: bool, recorded: bool, said: bool
) -> None:
    """It was emptied, or it hides all: nobody but a person can find out."""
    old = samples.network()
    known = samples.view(old)
    observed = known.observed if tells else Observed({})
    view = StationView(observed, adopted=True, ledger=known.ledger if recorded else {})
    made = samples.plan(old, {"S1": view})
    assert (NOTHING_TOLD in {one.code for one in made.findings}) is said
