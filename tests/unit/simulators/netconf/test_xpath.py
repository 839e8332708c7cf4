"""Our XPath 1.0, judged by libxml2, which shares no code with it, and its limits."""

from __future__ import annotations

import math
import os
import random
import secrets

import pytest
from lxml import etree

from simulators.netconf.xpath import MAX_COST, MAX_LENGTH, TooCostlyError, Type, XPath, XPathError, document
from tests.support.soak import SOAK

#: Fixed, except in a soak; MINKA_SEED plays one again.
SEED = int(os.environ.get("MINKA_SEED", secrets.randbits(32) if SOAK else 22))
TREE = etree.fromstring(
    '<n:r xmlns:n="urn:n" xmlns="urn:n" xmlns:m="urn:m"><a><id>1</id><v>3.5</v><m:v>x y</m:v></a>'
    "<a><id>2</id><v>-7</v><b><id>1</id><c>2</c><c>3</c></b></a><b><id>9</id><c>abc</c></b><e/></n:r>"
)
SPACES = {"n": "urn:n", "m": "urn:m"}
NAMES = ("n:a", "n:b", "n:c", "n:id", "n:v", "m:v", "*", "n:*", "m:*", "node()", "text()", "n:r", "n:e", "v")
AXES = (
    *("", "child::", "descendant::", "descendant-or-self::", "parent::", "ancestor::", "ancestor-or-self::"),
    *("following-sibling::", "preceding-sibling::", "following::", "preceding::", "self::"),
)
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "div", "mod", "and", "or")
VALUES = ("0", "1", "2", "1.5", ".5", "10", "''", "'1'", "'x'", "'abc'", '"3.5"')
#: P is a path, E any expression.
CALLS = (
    *("count(P)", "sum(P)", "name(P)", "local-name(P)", "namespace-uri(P)", "string(E)", "number(E)", "boolean(E)"),
    *("not(E)", "concat(E,E)", "contains(E,E)", "starts-with(E,E)", "substring-before(E,E)", "substring-after(E,E)"),
    *("substring(E,E)", "substring(E,E,E)", "string-length(E)", "normalize-space(E)", "translate(E,E,E)", "floor(E)"),
    *("ceiling(E)", "round(E)", "true()", "false()"),
)
HERE = (
    "position()",
    "last()",
    "string()",
    "number()",
    "name()",
    "string-length()",
    "normalize-space()",
    "local-name()",
)


class Expressions:
    """Random expressions. Those outside of a predicate start at the root, from which libxml2 does not start itself."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def short(self) -> str:
        """One that is no longer than one may be."""
        while len(found := self.any(3, rooted=True)) > MAX_LENGTH:
            pass
        return found

    def any(self, depth: int, *, rooted: bool) -> str:
        chance = self._random.random()
        if depth <= 0 or chance < 0.3:
            return self._random.choice((self._path(depth, rooted=rooted), self._random.choice(VALUES)))
        if chance < 0.55:
            left, right = (self.any(depth - 1, rooted=rooted) for _ in range(2))
            return f"{left} {self._random.choice(OPERATORS)} {right}"
        if chance < 0.7:
            return self._random.choice((self._union, self._bracket, self._minus, self._filter))(depth, rooted)
        call = self._random.choice(CALLS if rooted else CALLS + HERE)
        return "".join(self._argument(each, depth - 1, rooted) for each in call)

    def _argument(self, letter: str, depth: int, rooted: bool) -> str:
        if letter == "P":
            return self._path(depth, rooted=rooted)
        return self.any(depth, rooted=rooted) if letter == "E" else letter

    def _union(self, depth: int, rooted: bool) -> str:
        return " | ".join(self._path(depth - 1, rooted=rooted) for _ in range(2))

    def _bracket(self, depth: int, rooted: bool) -> str:
        return f"({self.any(depth - 1, rooted=rooted)})"

    def _minus(self, depth: int, rooted: bool) -> str:
        return f"- {self._path(depth - 1, rooted=rooted)}"

    def _filter(self, depth: int, rooted: bool) -> str:
        return f"({self._path(depth - 1, rooted=rooted)})[{self.any(depth - 1, rooted=False)}]"

    def _path(self, depth: int, *, rooted: bool) -> str:
        start = self._random.choice(("/", "//")) if rooted or self._random.random() < 0.3 else ""
        steps = [self._step(depth) for _ in range(self._random.randint(1, 4))]
        return start + "".join(
            (self._random.choice(("/", "/", "//")) if at else "") + step for at, step in enumerate(steps)
        )

    def _step(self, depth: int) -> str:
        chance = self._random.random()
        if chance < 0.2:
            return "." if chance < 0.08 else ".."
        step = self._random.choice(AXES) + self._random.choice(NAMES)
        return f"{step}[{self.any(depth - 1, rooted=False)}]" if depth > 0 and self._random.random() < 0.4 else step


def ours(expression: str) -> object:
    found = XPath.of(expression, SPACES).evaluate(document([TREE]), 10**7)
    if isinstance(found, list):
        return [(node.text is not None, node.element) for node in found if node.element is not None]
    return found


def libxml2(expression: str) -> object:
    found = etree.XPath(expression, namespaces=SPACES)(etree.ElementTree(TREE))
    if isinstance(found, list):
        return [
            (False, each) if isinstance(each, etree._Element) else (True, each.getparent())  # type: ignore[union-attr]
            for each in found
        ]
    return found


def test_agrees_with_libxml2() -> None:
    expressions = Expressions(SEED)
    for _ in range(50_000 if SOAK else 1500):
        expression = expressions.short()
        mine, theirs = ours(expression), libxml2(expression)
        if isinstance(mine, float) and isinstance(theirs, float):
            assert math.isclose(mine, theirs) or (math.isnan(mine) and math.isnan(theirs)), expression
        else:
            assert mine == theirs, expression


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("string(1 div 0)", "Infinity"),
        ("string(-1 div 0)", "-Infinity"),
        ("string(0 div 0)", "NaN"),
        ("string(0.000001)", "0.000001"),
        ("string(-0)", "0"),
        ("round(-2.5)", -2.0),
        ("substring('12345', 1.5, 2.6)", "234"),
        ("substring('12345', 0 div 0, 3)", ""),
        ("substring('12345', -42, 1 div 0)", "12345"),
        ("sum(/*/n:e) > 0 or true()", True),
        ("- - 3", 3.0),
        ("5 mod -2", 1.0),
        ("number('1e3') = 1000", False),
        ("id('x') = lang('en')", True),
    ],
)
def test_values_of_the_recommendation(expression: str, value: object) -> None:
    assert ours(expression) == value


def test_several_nodes_stand_at_the_root() -> None:
    tops = [etree.fromstring(f'<t xmlns="urn:n"><id>{number}</id></t>') for number in range(3)]
    root = document(tops)
    for expression, count in (("/n:t", 3), ("n:t[2]/following-sibling::*", 1), ("n:t/n:id[. = /n:t[3]/n:id]", 1)):
        assert len(XPath.of(expression, SPACES).evaluate(root)) == count, expression


@pytest.mark.parametrize(
    "expression",
    [
        *("", "/n:r[", "/n:r]", "a b", "1 +", "@", "child::", "nowhere::a", "x:a", "$v", "/n:r[$v]", "'open"),
        *("frob()", "/n:r[frob()]", "re:test('a','b')", "str:tokenize('a')", "current()", "document('/etc/passwd')"),
        *(
            "key('a','b')",
            "count(1)",
            "count()",
            "count(/a, /b)",
            "'a' | /b",
            "1[1]",
            "(1)/a",
            "true(1)",
            ".[1]",
            "a#b",
        ),
        *("(" * 25 + "1" + ")" * 25, "+".join("1" * 110), "|".join(["/a"] * 110), "/a" * 1001),
    ],
)
def test_what_is_no_core_xpath_is_refused_as_a_whole(expression: str) -> None:
    with pytest.raises(XPathError):
        XPath.of(expression, SPACES)


@pytest.mark.parametrize(
    "expression",
    [
        "//*[//*[//*[//*]]]",
        "//*[count(../*[count(../*[count(../*) > 0]) > 0]) > 0]",
        "//*[//* = //*]",
        "count(//*/following::*/preceding::*/following::*)",
        "//*[string-length(concat(/, /, /, /, /, /)) > 0]",
        "//*[translate(/, 'a', 'b') = '']",
    ],
)
def test_an_evaluation_costs_no_more_than_it_may(expression: str) -> None:
    text = "<l><id>1</id><v>some text in a leaf</v></l>" * 400
    root = document([etree.fromstring(f"<r>{text}</r>")])
    with pytest.raises(TooCostlyError):
        XPath.of(expression, SPACES).evaluate(root, MAX_COST)


@pytest.mark.parametrize(
    "expression", ["//v", "//*[v]/id", "/r/l[id = 399]", "/r/l[last()]", "//l[position() mod 2 = 1]"]
)
def test_ordinary_expressions_are_affordable(expression: str) -> None:
    text = "".join(f"<l><id>{number}</id><v>some text in a leaf</v></l>" for number in range(2000))
    root = document([etree.fromstring(f"<r>{text}</r>")])
    assert XPath.of(expression, SPACES).evaluate(root, MAX_COST)


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("/a", Type.NODES),
        ("/a | /b", Type.NODES),
        ("count(/a)", Type.NUMBER),
        ("/a = 1", Type.BOOLEAN),
        ("name()", Type.STRING),
    ],
)
def test_the_type_is_known_before(expression: str, type_: Type) -> None:
    assert XPath.of(expression, SPACES).type is type_


@pytest.mark.parametrize(
    ("expression", "value"),
    [("/n:r", True), ("/n:x", False), ("count(/n:x)", False), ("0 div 0", False), ("'false'", True), ("''", False)],
)
def test_a_value_as_a_truth(expression: str, value: bool) -> None:
    assert XPath.of(expression, SPACES).holds(document([TREE])) is value
