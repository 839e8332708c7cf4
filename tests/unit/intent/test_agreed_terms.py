"""When agreements of a network version are in force."""

from __future__ import annotations

from datetime import UTC, date, datetime

from controller.intent.agreed_terms import spans_of
from controller.models.sharing import Validity
from tests.unit.intent.test_outages import BEGIN, END, network


def test_agreements_that_begin_or_end_part_a_time_at_midnight_of_the_networks_zone() -> None:
    made = network()
    ends = made.agreements[0].model_copy(update={"validity": Validity(start=date(2026, 6, 10), end=date(2026, 6, 19))})
    made = made.model_copy(update={"agreements": (ends, made.agreements[1])})
    tenth, twentieth = (datetime(2026, 6, day, 5, tzinfo=UTC) for day in (10, 20))
    assert list(spans_of(made, BEGIN, END)) == [(BEGIN, tenth), (tenth, twentieth), (twentieth, END)]
