"""The generation that a station carries, beside its tree."""

from __future__ import annotations

import pytest

from controller.drivers.netconf.codec import decode, encode_edit
from controller.nrm.fingerprint import fingerprint, matches
from controller.nrm.generation import generation_edit, generation_of
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Observed

ROOT = root_spec(("lte-28658",))
PATH = "/ManagedElement[S1]"


def carrying(text: str) -> Observed:
    """A station that carries a text in the leaf."""
    return Observed({PATH: {"priorityLabel": "1"}}, {PATH: {"userDefinedState": text}} if text else {})


def test_it_goes_to_the_station_and_comes_back_and_no_tree_knows_of_it() -> None:
    bare = carrying("")
    assert generation_of(ROOT, bare, "S1") == 0
    (edit,) = generation_edit(ROOT, bare, "S1", 12)
    config = encode_edit(ROOT, [edit])
    (element,) = list(config)
    seen = decode(ROOT, element, "S1")
    assert generation_of(ROOT, seen, "S1") == 12
    assert seen.tree == {PATH: {}}
    assert not seen.unknown
    whole = fingerprint(ROOT, {PATH: {}}, [PATH])
    assert matches(ROOT, seen.tree, whole)


@pytest.mark.parametrize("text", ["in service since 2024", "minka S2 12", "minka S1 twelve", "minka S1 12 "])
def test_what_is_not_ours_tells_nothing(text: str) -> None:
    assert generation_of(ROOT, carrying(text), "S1") == 0


def test_what_somebody_else_wrote_stays() -> None:
    assert generation_edit(ROOT, carrying("in service since 2024"), "S1", 12) == ()
    assert generation_edit(ROOT, Observed({}), "S1", 12) == ()
    assert generation_edit(root_spec(("cisco_ios",)), Observed({}), "S1", 12) == ()


def test_what_was_copied_from_another_station_is_written_over() -> None:
    (edit,) = generation_edit(ROOT, carrying("minka S2 99"), "S1", 12)
    assert edit.after == {"userDefinedState": "minka S1 12"}
