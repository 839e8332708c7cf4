"""Expressions: what they may, and that nothing else is evaluated."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.models.errors import InputError
from controller.playbook.language.expressions import (
    ABSENT,
    LONGEST,
    UNKNOWN,
    Expression,
    NamesWithin,
    evaluate,
    foreseen,
    holds,
    may_hold,
    names_within,
)
from tests.strategies.expressions import KNOWN, OUTCOMES, conditions, lists


@pytest.mark.parametrize(
    ("text", "names", "value"),
    [
        ("plain", {}, "plain"),
        ("{{ a }}", {"a": 3}, 3),
        ("{{ a }}", {"a": None}, None),
        ("x{{ a }}", {"a": 3}, "x3"),
        ("{{ a.b[0] }}", {"a": {"b": ["q"]}}, "q"),
        ("{{ a.keys }}", {"a": {"keys": 1}}, 1),
        ("{{ a + 1 > 2 and not b }}", {"a": 2, "b": False}, True),
        ("{{ 'x' if a else ['y'] }}", {"a": False}, ["y"]),
        ("{{ a|default('d') }}", {}, "d"),
        ("{{ a|length }}", {"a": [1, 2]}, 2),
        ("{{ a|join('+') }}", {"a": ["x", "y"]}, "x+y"),
        ("{{ a is defined }}", {}, False),
        ("{{ a }}", {"a": "{{ 7 * 7 }}"}, "{{ 7 * 7 }}"),
        ("{{ a }}!", {"a": "{% raw %}"}, "{% raw %}!"),
    ],
)
def test_values(text: str, names: dict[str, Any], value: Any) -> None:
    found = evaluate(text, names)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ a() }}",
        "{{ ''.__class__ }}",
        "{{ a['__class__'] }}",
        "{{ a.__init__.__globals__ }}",
        "{{ a|attr('x') }}",
        "{{ 'a' * 999999999 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ a.upper }}",
        "{{ a|map('upper') }}",
        "{{ range(9) }}",
        "{{ self }}",
        "{{ cycler }}",
        "{{ lipsum }}",
        "{% for x in a %}{% endfor %}",
        "{% set x = 1 %}",
        "{% include '/etc/passwd' %}",
        "{# comment #}",
        "{{ a[0:2] }}",
        "{{ 1e400 }}",
        '{{ "\\ud800" }}',
        "{{ nothing }}",
        "{{ [nothing] }}",
        "{{ {'a': [a, (nothing, a)]} }}",
        "{{ a.b }}",
        "{{ a",
        "{{ " + "(" * 400 + " }}",
        "{{ " + "not " * 240 + "a }}",
        "x" * (LONGEST + 1) + "{{ a }}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Expression(text).value({"a": "text"})


def test_results_are_bounded() -> None:
    with pytest.raises(InputError, match="more than"):
        evaluate("{{ a ~ a ~ a }}", {"a": "x" * 9000})


def test_names_and_members() -> None:
    found = Expression("{{ a.b.c }} {{ d }}")
    assert found.names == {"a", "d"}
    assert found.members == {("a", "b")}


# ------------------------------------------------------------ before all names are known


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("{{ later is defined }}", None),
        ("{{ later is undefined }}", None),
        ("{{ (later | default([])) | length > 0 }}", None),
        ("{{ yes and later }}", None),
        ("{{ no and later is defined }}", False),
        ("{{ later is defined and no }}", False),
        ("{{ later or yes }}", True),
        ("{{ not (later or yes) }}", False),
        ("{{ later if no else yes }}", True),
        ("{{ yes if later else yes }}", None),
        ("{{ never is defined }}", False),
        ("{{ never is defined or later }}", None),
        ("{{ yes }}", True),
        ("{{ cell + 1 }}", None),  # it will fail, and never hold
    ],
)
def test_a_condition_is_known_only_if_it_follows_from_what_is(text: str, known: bool | None) -> None:
    names = {"yes": True, "no": False, "cell": "N1", "never": ABSENT}
    assert (may_hold(text, names), holds(text, names)) == (known is not False, known is True)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("{{ later | default('N1') }}", UNKNOWN),
        ("{{ later.cells if later is defined else ['N1'] }}", UNKNOWN),
        ("{{ ['N1'] if yes else later }}", ["N1"]),
        ("a {{ later }}", UNKNOWN),
        (["{{ cell }}", "{{ later }}"], UNKNOWN),
        ({"cells": ["{{ cell }}"]}, {"cells": ["N1"]}),
        ({"cells": {"first": ["{{ later }}"]}}, UNKNOWN),
        ("{{ never | default('N1') }}", "N1"),
    ],
)
def test_a_value_is_known_only_if_it_follows_from_what_is(value: Any, found: Any) -> None:
    assert foreseen(value, {"yes": True, "cell": "N1", "never": ABSENT}) == found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ answer }}", '"no"'),
        ("{{ not answer }}", '"no"'),
        ("{{ answer and yes }}", '"no"'),
        ("{{ no or answer and yes }}", '"no"'),
        ("{{ yes if answer else no }}", '"no"'),
        ("{{ ([1] if answer else []) == [1] }}", '"no"'),
        ("{{ answer if yes else no }}", '"no"'),
        ("{{ count }}", "1"),
        ("{{ cells }}", '["L1"]'),
        ("{{ nothing }}", "null"),
    ],
)
def test_a_condition_that_is_neither_true_nor_false_is_an_error_and_never_true(text: str, shown: str) -> None:
    names = {"answer": "no", "yes": True, "no": False, "count": 1, "cells": ["L1"], "nothing": None}
    for decide in (Expression(text).truth, Expression(text).foretold):
        with pytest.raises(InputError) as raised:
            decide(names)
        assert raised.value.message.startswith(f"{text}: a condition is {shown}, which is neither true nor false")
    assert not holds(text, names)


def test_a_condition_decides_as_far_as_it_is_read() -> None:
    names = {"yes": True, "no": False, "answer": "no"}
    assert Expression("{{ yes or answer }}").truth(names)
    assert not Expression("{{ later is defined and later.changed }}").truth(names)
    assert Expression("{{ not (no or answer == 'yes') }}").truth(names)
    with pytest.raises(InputError, match="'later' is undefined"):
        Expression("{{ later }}").truth(names)
    with pytest.raises(InputError, match="one expression and nothing else"):
        Expression("it is {{ no }}").truth(names)


@settings(max_examples=200, deadline=None)
@given(conditions(), OUTCOMES)
def test_a_condition_that_may_not_hold_holds_under_no_value_of_what_was_not_known(
    text: str, later: dict[str, Any]
) -> None:
    try:
        found = Expression(text).truth({**KNOWN, **later})
    except InputError:
        return  # the step fails, and does nothing
    assert may_hold(text, KNOWN) or not found
    assert found or not holds(text, KNOWN)


@settings(max_examples=200, deadline=None)
@given(lists(), OUTCOMES)
def test_a_value_that_is_known_beforehand_is_that_of_the_run(text: str, later: dict[str, Any]) -> None:
    try:
        found = evaluate(text, {**KNOWN, **later})
        assert foreseen(text, KNOWN) in (UNKNOWN, found)
    except InputError:
        return


#: What is known of ``locked`` and ``before`` while neither is there.
LIMITS = {("locked", "cells"): frozenset({"L1", "N2"}), ("before", "cells"): frozenset({"L1", "N1"})}


@settings(max_examples=300, deadline=None)
@given(lists(), OUTCOMES, st.lists(st.sampled_from(["L1", "N2"])))
def test_a_value_holds_no_other_names_than_those_that_were_foreseen(
    text: str, later: dict[str, Any], locked: list[str]
) -> None:
    try:
        bound = names_within(text, KNOWN, LIMITS)
        found = evaluate(text, {**KNOWN, **later, "locked": {"cells": locked}})
    except InputError:
        return  # the step fails, and does nothing
    if bound is not None and found is not None:
        assert isinstance(found, list) is bound.listed
        assert {*(found if bound.listed else [found])} - {None} <= bound.members, "none is no name"


@pytest.mark.parametrize(
    ("value", "members", "listed"),
    [
        ("N1", {"N1"}, False),
        (["N1", "{{ cell }}"], {"N1", "C"}, True),
        ("{{ locked.cells }}", {"L1", "N2"}, True),
        ("{{ locked['cells'] | unique }}", {"L1", "N2"}, True),
        ("{{ locked.cells | first }}", {"L1", "N2"}, False),
        ("{{ locked.cells[0] }}", {"L1", "N2"}, False),
        (["{{ locked.cells[0] }}", "N3"], {"L1", "N2", "N3"}, True),
        ("{{ (locked.cells, )[0] }}", None, False),
        ("{{ [locked.cells[0], cell] }}", {"L1", "N2", "C"}, True),
        ("{{ locked.cells if later else [] }}", {"L1", "N2"}, True),
        ("{{ locked.cells if later else cell }}", None, True),
        ("{{ ['a'] if yes else later }}", {"a"}, True),
        ("{{ locked.cells if later }}", {"L1", "N2"}, True),
        ("{{ locked.cells and ['a'] }}", {"L1", "N2", "a"}, True),
        ("{{ locked.cells or later }}", None, True),
        ("{{ locked.cells | default(['a']) }}", {"L1", "N2", "a"}, True),
        ("{{ locked.cells | default(later) }}", None, True),
        ("{{ locked.cells[0] + cell }}", None, False),
        ("{{ locked.cells[0] | list }}", None, True),
        ("{{ locked.cells | join }}", None, False),
        ("{{ locked.other }}", None, True),
        ("{{ other.cells }}", None, True),
        ("{{ locked }}", None, True),
        ("{{ locked.cells[0][0] }}", None, False),
        ("a {{ locked.cells }}", None, False),
        ("{{ [1] }}", None, True),
        ("{{ [] }}", set(), True),
        ([], set(), True),
        (["{{ locked.cells }}"], None, True),
        ({"a": "b"}, None, True),
    ],
)
def test_names_that_a_value_can_hold(value: Any, members: set[str] | None, listed: bool) -> None:
    found = names_within(value, {"yes": True, "cell": "C"}, LIMITS)
    assert found == (None if members is None else NamesWithin(frozenset(members), listed))


@pytest.mark.parametrize(
    "text", ["{{ 1e308+1e308 }}", "{{ [x, -1e308-1e308] }}", "{{ [1e308, 1e308] | sum }}", "a {{ 1e308+1e308 > x }}"]
)
def test_a_constant_that_grows_beyond_all_numbers_is_refused_and_named(text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        Expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ x + x }}",
        "{{ x + x > 5 }}",
        "{{ [x, x] | sum }}",
        "{{ 'a' ~ (x + x) }}",
        "a {{ -x - x }}",
        "{{ {'a': [x + x]} }}",
        "{{ y.z }}",
        "{{ y.z > 1 }}",
        "{{ -y.z }}",
        "{{ x + x if x > 0 else later }}",
    ],
)
def test_a_number_beyond_all_bounds_is_named_with_its_expression_when_it_comes_about(text: str) -> None:
    names = {"x": 1e308, "y": {"z": float("nan")}}
    for read in (Expression(text).value, Expression(text).foreseen):
        with pytest.raises(InputError, match=re.escape(text)) as raised:
            read(names | ({} if read == Expression(text).foreseen else {"later": 1}))
        assert "is not a finite number" in raised.value.message


def test_a_default_stands_for_what_a_step_that_was_skipped_did_not_register() -> None:
    assert Expression("{{ woken.cells | default([]) }}").value({}) == []
    assert Expression("{{ woken.cells.first | default('none') }}").value({"woken": {}}) == "none"
    for text in ("{{ woken.cells }}", "{{ woken.cells | length }}", "cells {{ woken['cells'] }}"):
        with pytest.raises(InputError, match="'woken' is undefined"):
            Expression(text).value({})
