"""Expressions: what they may, and that nothing else is evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from controller.models.errors import InputError
from controller.playbook.language.expressions import LONGEST, Expression, evaluate


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
