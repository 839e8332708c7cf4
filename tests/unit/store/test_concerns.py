"""Whom an alarm concerns: who shares its cells on the day, from the first day of an agreement to its last."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from controller.models.network import Network, network_digest
from controller.store.alarms.concerns import sharing_on
from tests.unit.intent.test_outages import off_air
from tests.unit.plan import samples

FIRST, LAST = date(2026, 6, 10), date(2026, 6, 15)
DAY = timedelta(days=1)


def shared(**validity: str | None) -> Network:
    """Alfa and beta share all, beta for some days."""
    content = samples.network(("alfa", "beta")).model_dump(mode="json")
    content["agreements"][1]["validity"] = validity
    return Network.model_validate(content)


@pytest.mark.parametrize("days", [(FIRST - DAY, FIRST, LAST, LAST + DAY), (LAST + DAY, LAST, FIRST, FIRST - DAY)])
def test_an_alarm_concerns_a_tenant_from_the_first_to_the_last_day_of_its_agreement(days: tuple[date, ...]) -> None:
    """In whatever order days are asked for: what is known of one is remembered for those with the same agreements."""
    made, alarm = shared(start=f"{FIRST}", end=f"{LAST}"), off_air(0, 1).alarm
    digest = network_digest(made)
    told = {day: tuple(sharing_on(digest, made, day).impact_now(alarm).tenants) for day in days}
    both = ("alfa", "beta")
    assert told == {FIRST - DAY: ("alfa",), FIRST: both, LAST: both, LAST + DAY: ("alfa",)}
    assert sharing_on(digest, made, FIRST) is sharing_on(digest, made, LAST)


def test_another_version_is_another_sharing_also_where_its_agreements_have_the_same_ids() -> None:
    one, other = shared(start=f"{FIRST}", end=None), samples.network(("alfa", "beta"))
    other = other.model_copy(update={"cells": tuple(cell for cell in other.cells if cell.station == "S2")})
    alarm = off_air(0, 1).alarm
    told = [tuple(sharing_on(network_digest(made), made, LAST).impact_now(alarm).tenants) for made in (one, other)]
    assert told == [("alfa", "beta"), ()]
