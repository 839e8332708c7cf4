"""CEL: what expressions come to, and what is said of those that are none."""

from __future__ import annotations

from typing import Any

import pytest

from simulators.cloud.language.cel.program import CompileError, compiled
from simulators.cloud.language.cel.values import DYN, INT, STRING, CelError, Type, list_of, map_of, optional_of

_ITEM = Type("item", fields={"name": STRING, "v": INT})
_SELF = Type(
    "selfType",
    fields={
        "replicas": INT,
        "name": STRING,
        "list": list_of(INT),
        "m": map_of(STRING, INT),
        "ratio": Type("double"),
        "items": list_of(_ITEM),
        "absent": STRING,
        "any": DYN,
    },
)
_VALUE = {
    "replicas": 2,
    "name": "abc",
    "list": [1, 2, 3],
    "m": {"a": 1},
    "ratio": 1.0,
    "items": [{"name": "x", "v": 1}, {"name": "y", "v": 2}],
    "any": "10%",
}
_VARIABLES = {"self": _SELF, "old": optional_of(_SELF)}


def evaluated(text: str) -> Any:
    return compiled(text, _VARIABLES).evaluate({"self": _VALUE, "old": None})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("self.replicas <= 3 && self.name != ''", True),
        ("self.replicas <= self.ratio", False),
        ("has(self.name) && !has(self.absent)", True),
        ("!has(self.absent) || self.absent == 'x'", True),
        ("self.absent == 'x' || true", True),
        ("size(self.name) == self.list.size()", True),
        ("self.list.all(x, x > 0)", True),
        ("self.items.exists_one(i, i.name == 'x')", True),
        ("self.items.map(i, i.v > 1, i.name)", ["y"]),
        ("self.items.filter(i, i.v > 1).size()", 1),
        ("self.m.all(k, v, k == 'a' && v == 1)", True),
        ("self.list.transformList(i, v, i > 0, v * 2)", [4, 6]),
        ("'a' in self.m && 2 in self.list && !(9 in self.list)", True),
        ("self.name.matches('^a.c$') && self.name.startsWith('a') && self.name.endsWith('c')", True),
        ("self.replicas > 1 ? 'many: ' + string(self.replicas) : 'one'", "many: 2"),
        ("'%s has %d'.format([self.name, self.replicas])", "abc has 2"),
        ("self.list.isSorted() && self.list.sum() == 6 && self.list.max() == 3", True),
        ("'a,b'.split(',')", ["a", "b"]),
        ("self.name.substring(1).upperAscii()", "BC"),
        ("quantity('1Gi').isGreaterThan(quantity('900Mi'))", True),
        ("cidr('10.0.0.0/8').containsIP('10.1.1.1')", True),
        ("url('https://a.example:8443/x?y=1').getPort()", "8443"),
        ("duration('1h') > duration('59m')", True),
        ("timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-02T00:00:00Z')", True),
        ("sets.contains([1, 2, 3], [3, 1])", True),
        ("self.?absent.orValue('none')", "none"),
        ("optional.of(1).hasValue()", True),
        ("self.any == '10%' && type(self.any) == string", True),
        ("-7 / 2 == -3 && -7 % 2 == -1", True),
        ("[1, 2] + [3] == self.list", True),
        ("{'a': 1}.a == self.m['a']", True),
        ("r'\\d' == '\\\\d'", True),
    ],
)
def test_value(text: str, value: Any) -> None:
    assert evaluated(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("self.absent == 'x'", "no such key: absent"),
        ("self.list[9] == 1", "index out of bounds: 9"),
        ("self.m['z'] == 1", "no such key: z"),
        ("1 / (self.replicas - 2) == 1", "division by zero"),
        ("9223372036854775807 + self.replicas == 1", "integer overflow"),
        ("self.any > 5", "no such overload"),
        ("self.absent == 'x' && true", "no such key: absent"),
    ],
)
def test_no_value(text: str, said: str) -> None:
    with pytest.raises(CelError) as refused:
        evaluated(text)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("self.nope == 1", "ERROR: <input>:1:5: undefined field 'nope'\n | self.nope == 1\n | ....^"),
        ("a == 1", "ERROR: <input>:1:1: undeclared reference to 'a' (in container '')\n | a == 1\n | ^"),
        ("f(1)", "ERROR: <input>:1:2: undeclared reference to 'f' (in container '')\n | f(1)\n | .^"),
        (
            "self.name == 1",
            (
                "ERROR: <input>:1:11: found no matching overload for '_==_' applied to '(string, int)'\n"
                " | self.name == 1\n | ..........^"
            ),
        ),
        (
            "self.name.startsWith(1)",
            (
                "ERROR: <input>:1:21: found no matching overload for 'startsWith' applied to 'string.(int)'\n"
                " | self.name.startsWith(1)\n | ....................^"
            ),
        ),
        (
            "self.all(x, true)",
            (
                "ERROR: <input>:1:1: expression of type 'selfType' cannot be range of a comprehension "
                "(must be list, map, or dynamic)\n | self.all(x, true)\n | ^"
            ),
        ),
        ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
        ("a b", "ERROR: <input>:1:3: Syntax error: extraneous input 'b' expecting <EOF>\n | a b\n | ..^"),
        ("true\n  && q", "ERROR: <input>:2:6: undeclared reference to 'q' (in container '')\n |   && q\n | .....^"),
    ],
)
def test_no_expression(text: str, said: str) -> None:
    with pytest.raises(CompileError) as refused:
        compiled(text, _VARIABLES)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "text", ["self.f(", "true &&", "'a", "(" * 500, "has(1)", "self.list.all(1, true)", "for", "#"]
)
def test_no_text_of_the_language(text: str) -> None:
    with pytest.raises(CompileError, match=r"^ERROR: <input>:1:"):
        compiled(text, _VARIABLES)
