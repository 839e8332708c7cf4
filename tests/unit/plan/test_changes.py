"""Changes of a plan: packed as they lie on record, and to everybody else a sequence."""

from __future__ import annotations

import pytest

from controller.models.plan import Change, Changes, Plan
from tests.support.records import make_change, make_plan

CHANGES = tuple(make_change(name) for name in ("C", "A", "B"))


def test_they_are_a_sequence_in_the_order_that_they_came_in() -> None:
    packed = Changes.of(CHANGES)
    assert packed == CHANGES == tuple(packed)
    assert packed != CHANGES[:2]
    assert (len(packed), packed[0], packed[-1], packed[1:]) == (3, CHANGES[0], CHANGES[-1], CHANGES[1:])
    with pytest.raises(IndexError):
        packed[3]


def test_a_station_is_found_without_unpacking_the_others() -> None:
    packed = Changes({**Changes.of(CHANGES).packed, "broken": b""})
    assert list(packed.packed) == ["C", "A", "B", "broken"]
    assert packed.on("A") == CHANGES[1]
    assert packed.on("D") is None


def test_what_is_packed_is_not_packed_again() -> None:
    packed = Changes.of(CHANGES)
    assert Changes.of(packed) is packed
    assert make_plan([]).model_copy(update={"changes": packed}).changes is packed


def test_outside_they_are_a_list() -> None:
    plan = make_plan(["A", "B"])
    said = plan.model_dump(mode="json")
    assert [change["station"] for change in said["changes"]] == ["A", "B"]
    assert Plan.model_validate(said) == plan
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    for mode in ("validation", "serialization"):
        schema = Plan.model_json_schema(mode=mode)["properties"]["changes"]
        assert (schema["type"], schema["items"]) == ("array", {"$ref": "#/$defs/Change"})


def test_nouns_share_the_set_of_their_fields() -> None:
    one, other = make_change("A"), Changes.of(CHANGES)[0]
    assert one.model_fields_set is other.model_fields_set
    assert one.model_copy() == one != other


def test_a_noun_of_known_values_is_the_one_that_validation_makes() -> None:
    names = [*Change.model_fields][::-1]
    checked = make_change("A")
    made = Change.model_construct(**{name: getattr(checked, name) for name in names})
    assert made == checked
    assert made.model_dump_json() == checked.model_dump_json()
    assert made.model_fields_set is checked.model_fields_set
    assert made.model_copy(update={"station": "B"}).station == "B"


def test_a_noun_of_known_values_has_defaults_of_its_own() -> None:
    checked = make_change("A")
    known = {name: getattr(checked, name) for name, field in Change.model_fields.items() if field.is_required()}
    one, other = Change.model_construct(**known), Change.model_construct(**known)
    assert (one.station, one.interrupted, one.reverts, one.removes) == ("A", (), True, {})
    assert one.removes is not other.removes
