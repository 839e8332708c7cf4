"""XPath 1.0 with the core function library only, as RFC 6241 §8.9 has it.

Written here and not left to libxml2, because a client's expression must hurt nobody else: it is checked as a whole when
it is accepted (names, functions, types), every node that it visits is paid for, and it starts at a root that may have
several top-level nodes. libxml2 knows further functions, can't be stopped, and has one top-level node.

Data has neither attributes nor comments nor processing instructions, so that their axes and node tests find nothing.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from lxml import etree

#: Longest expression in characters, deepest nesting of brackets, and most operators between two operands.
MAX_LENGTH, MAX_DEPTH, MAX_OPERATORS = 2000, 20, 100
#: Nodes that one evaluation may visit; text counts as well.
MAX_COST = 200_000
#: Characters of text that cost as much as one node.
_TEXT_UNIT = 64


class XPathError(ValueError):
    """The expression is none that this evaluator accepts."""


class TooCostlyError(Exception):
    """The evaluation visits more nodes than one may."""


# ------------------------------------------------------------------------ data


@dataclass(eq=False, slots=True)
class Node:
    """The root, an element, or the text of an element.

    Attributes:
        element: The element itself, or that of the text; None for the root.
        order: Its place in document order.
        index: Its place among its siblings.
        tag: The name of an element; empty for all else.
        text: The text; None for what is no text.
    """

    element: etree._Element | None
    parent: Node | None
    order: int
    index: int = 0
    tag: str = ""
    text: str | None = None
    children: list[Node] = field(default_factory=list)

    def descendants(self) -> Iterator[Node]:
        """All below it, in document order."""
        waiting = self.children[::-1]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children[::-1]

    def ancestors(self) -> Iterator[Node]:
        """All above it, the nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


def document(tops: Iterable[etree._Element]) -> Node:
    """The root over top-level elements."""
    root = Node(None, None, 0)
    count = 0
    waiting = [(root, top) for top in tops][::-1]
    while waiting:
        parent, element = waiting.pop()
        count += 1
        node = Node(element, parent, count, len(parent.children), str(element.tag))
        parent.children.append(node)
        children = list(element.iterchildren(tag=etree.Element))
        if not children and element.text:
            count += 1
            node.children.append(Node(element, node, count, text=element.text))
        waiting += [(node, child) for child in reversed(children)]
    return root


def _after(node: Node) -> list[Node]:
    return [] if node.parent is None else node.parent.children[node.index + 1 :]


def _before(node: Node) -> list[Node]:
    return [] if node.parent is None else node.parent.children[: node.index][::-1]


def _following(node: Node) -> Iterator[Node]:
    for above in (node, *node.ancestors()):
        for sibling in _after(above):
            yield sibling
            yield from sibling.descendants()


def _preceding(node: Node) -> Iterator[Node]:
    for above in (node, *node.ancestors()):
        for sibling in _before(above):
            yield from reversed([sibling, *sibling.descendants()])


_AXES: Mapping[str, Callable[[Node], Iterable[Node]]] = {
    "self": lambda node: (node,),
    "child": lambda node: node.children,
    "parent": lambda node: () if node.parent is None else (node.parent,),
    "descendant": Node.descendants,
    "descendant-or-self": lambda node: (node, *node.descendants()),
    "ancestor": Node.ancestors,
    "ancestor-or-self": lambda node: (node, *node.ancestors()),
    "following-sibling": _after,
    "preceding-sibling": _before,
    "following": _following,
    "preceding": _preceding,
    "attribute": lambda node: (),
    "namespace": lambda node: (),
}

# ------------------------------------------------------------------------ values


class Type(StrEnum):
    """The types of XPath 1.0. Without variables each expression has one that is known before it is evaluated."""

    NODES = "node-set"
    BOOLEAN = "boolean"
    NUMBER = "number"
    STRING = "string"


class Budget:
    """The nodes that an evaluation may still visit."""

    __slots__ = ("left",)

    def __init__(self, most: int) -> None:
        self.left = most

    def spend(self, nodes: int = 1) -> None:
        """Pay for visited nodes.

        Raises:
            TooCostlyError: nothing is left.
        """
        self.left -= nodes
        if self.left < 0:
            raise TooCostlyError


@dataclass(frozen=True, slots=True)
class _Context:
    node: Node
    position: int
    size: int
    budget: Budget


#: Node-sets are lists in document order.
_Run = Callable[[_Context], Any]


@dataclass(frozen=True, slots=True)
class _Expression:
    type: Type
    run: _Run

    def as_type(self, wanted: Type) -> _Run:
        """Evaluates to another type.

        Raises:
            XPathError: it gives no node-set, and one is wanted.
        """
        if wanted is self.type:
            return self.run
        if wanted is Type.NODES:
            raise XPathError(f"a {self.type} stands where a node-set is needed")
        run, given = self.run, self.type
        convert = {Type.BOOLEAN: _boolean, Type.NUMBER: _number, Type.STRING: _string}[wanted]
        return lambda context: convert(run(context), given, context.budget)


def _text_of(node: Node, budget: Budget) -> str:
    if node.text is not None:
        found = node.text
    else:
        texts = []
        for each in node.descendants():
            budget.spend()
            if each.text is not None:
                texts.append(each.text)
        found = "".join(texts)
    budget.spend(1 + len(found) // _TEXT_UNIT)
    return found


def _boolean(value: Any, given: Type, _budget: Budget) -> bool:
    return bool(value) and not (given is Type.NUMBER and math.isnan(value))


_NUMBER = re.compile(r"[ \t\r\n]*(-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))[ \t\r\n]*")


def _number(value: Any, given: Type, budget: Budget) -> float:
    if given in (Type.NUMBER, Type.BOOLEAN):
        return float(value)
    found = _NUMBER.fullmatch(_string(value, given, budget))
    return float(found[1]) if found else math.nan


def _string(value: Any, given: Type, budget: Budget) -> str:
    if given is Type.NODES:
        return _text_of(value[0], budget) if value else ""
    if given is Type.BOOLEAN:
        return "true" if value else "false"
    return _digits(value) if given is Type.NUMBER else str(value)


def _digits(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value == int(value) else format(Decimal(repr(value)), "f")


# ------------------------------------------------------------------------ operators


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _remainder(left: float, right: float) -> float:
    return math.nan if not right or math.isinf(left) else math.fmod(left, right)


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "div": _divided,
    "mod": _remainder,
}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUALITY = ("=", "!=")


def _calculated(sign: str, left: _Expression, right: _Expression) -> _Expression:
    one, other, calculate = left.as_type(Type.NUMBER), right.as_type(Type.NUMBER), _ARITHMETIC[sign]
    return _Expression(Type.NUMBER, lambda context: calculate(one(context), other(context)))


def _compared(sign: str, left: _Expression, right: _Expression) -> _Expression:
    """A comparison (XPath 1.0 §3.4)."""
    types = {left.type, right.type}
    compare = _COMPARISONS[sign]
    if Type.NODES in types and Type.BOOLEAN not in types:
        return _Expression(Type.BOOLEAN, _any_compared(sign, left, right))
    common = Type.NUMBER
    if sign in _EQUALITY:
        common = next(each for each in (Type.BOOLEAN, Type.NUMBER, Type.STRING) if each in types)
    elif Type.NODES in types:
        left, right = (
            _Expression(Type.BOOLEAN, each.as_type(Type.BOOLEAN)) if each.type is Type.NODES else each
            for each in (left, right)
        )
    one, other = left.as_type(common), right.as_type(common)
    return _Expression(Type.BOOLEAN, lambda context: compare(one(context), other(context)))


def _any_compared(sign: str, left: _Expression, right: _Expression) -> _Run:
    """Whether any two values compare so, where one side or both are node-sets."""
    compare = _COMPARISONS[sign]
    numbers = sign not in _EQUALITY or Type.NUMBER in (left.type, right.type)

    def run(context: _Context) -> bool:
        one, other = (_values(side, context, numbers=numbers) for side in (left, right))
        context.budget.spend(len(one) * len(other))
        return any(compare(a, b) for a in one for b in other)

    return run


def _values(side: _Expression, context: _Context, *, numbers: bool) -> list[Any]:
    value, budget = side.run(context), context.budget
    if side.type is not Type.NODES:
        return [_number(value, side.type, budget) if numbers else _string(value, side.type, budget)]
    texts = dict.fromkeys(_text_of(node, budget) for node in value)
    return [_number(text, Type.STRING, budget) for text in texts] if numbers else list(texts)


def _either(left: _Expression, right: _Expression) -> _Expression:
    one, other = left.as_type(Type.BOOLEAN), right.as_type(Type.BOOLEAN)
    return _Expression(Type.BOOLEAN, lambda context: one(context) or other(context))


def _both(left: _Expression, right: _Expression) -> _Expression:
    one, other = left.as_type(Type.BOOLEAN), right.as_type(Type.BOOLEAN)
    return _Expression(Type.BOOLEAN, lambda context: one(context) and other(context))


def _united(left: _Expression, right: _Expression) -> _Expression:
    one, other = left.as_type(Type.NODES), right.as_type(Type.NODES)
    return _Expression(Type.NODES, lambda context: _ordered([*one(context), *other(context)]))


def _ordered(nodes: Iterable[Node]) -> list[Node]:
    return sorted(set(nodes), key=lambda node: node.order)


# ------------------------------------------------------------------------ functions


def _tag(nodes: Sequence[Node]) -> str:
    return nodes[0].tag if nodes else ""


def _namespace_uri(nodes: Sequence[Node]) -> str:
    return _tag(nodes).rpartition("}")[0][1:]


def _local_name(nodes: Sequence[Node]) -> str:
    return _tag(nodes).rpartition("}")[2]


def _name(nodes: Sequence[Node]) -> str:
    element = nodes[0].element if _tag(nodes) else None
    prefix = None if element is None else element.prefix
    return f"{prefix}:{_local_name(nodes)}" if prefix else _local_name(nodes)


def _rounded(value: float) -> float:
    return value if math.isnan(value) or math.isinf(value) else float(math.floor(value + 0.5))


def _whole(towards: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: value if math.isnan(value) or math.isinf(value) else float(towards(value))


def _substring(text: str, start: float, length: float = math.inf) -> str:
    first, end = _rounded(start), _rounded(start) + _rounded(length)
    if math.isnan(first) or math.isnan(end):
        return ""
    low, high = max(first, 1.0), min(end, len(text) + 1.0)
    return text[int(low) - 1 : int(high) - 1] if low < high else ""


def _translated(text: str, old: str, new: str) -> str:
    table: dict[int, str | None] = {}
    for index, character in enumerate(old):
        table.setdefault(ord(character), new[index] if index < len(new) else None)
    return text.translate(table)


def _normal_space(text: str) -> str:
    return " ".join(part for part in re.split(r"[ \t\r\n]+", text) if part)


@dataclass(frozen=True, slots=True)
class _Function:
    """A function: the types of its arguments, of which the last ``optional`` ones may be left out.

    Attributes:
        here: Without an argument it is about the context node.
        many: The last argument may come again.
    """

    type: Type
    run: Callable[..., Any]
    takes: tuple[Type, ...] = ()
    optional: int = 0
    here: bool = False
    many: bool = False


_S, _N, _B, _NODES = Type.STRING, Type.NUMBER, Type.BOOLEAN, Type.NODES
_FUNCTIONS: Mapping[str, _Function] = {
    "count": _Function(_N, lambda nodes: float(len(nodes)), (_NODES,)),
    "local-name": _Function(_S, _local_name, (_NODES,), here=True),
    "namespace-uri": _Function(_S, _namespace_uri, (_NODES,), here=True),
    "name": _Function(_S, _name, (_NODES,), here=True),
    "string": _Function(_S, str, (_S,), here=True),
    "concat": _Function(_S, lambda *texts: "".join(texts), (_S, _S), many=True),
    "starts-with": _Function(_B, str.startswith, (_S, _S)),
    "contains": _Function(_B, operator.contains, (_S, _S)),
    "substring-before": _Function(_S, lambda text, mark: text[: max(text.find(mark), 0)], (_S, _S)),
    "substring-after": _Function(_S, lambda text, mark: text.partition(mark)[2] if mark else text, (_S, _S)),
    "substring": _Function(_S, _substring, (_S, _N, _N), optional=1),
    "string-length": _Function(_N, lambda text: float(len(text)), (_S,), here=True),
    "normalize-space": _Function(_S, _normal_space, (_S,), here=True),
    "translate": _Function(_S, _translated, (_S, _S, _S)),
    "boolean": _Function(_B, bool, (_B,)),
    "not": _Function(_B, operator.not_, (_B,)),
    "true": _Function(_B, lambda: True),
    "false": _Function(_B, lambda: False),
    # Data has no xml:lang, and no attribute of type ID.
    "lang": _Function(_B, lambda _language: False, (_S,)),
    "id": _Function(_NODES, lambda _names: [], (_S,)),
    "number": _Function(_N, float, (_N,), here=True),
    "floor": _Function(_N, _whole(math.floor), (_N,)),
    "ceiling": _Function(_N, _whole(math.ceil), (_N,)),
    "round": _Function(_N, _rounded, (_N,)),
}
#: Those that ask for more than their arguments.
_OF_CONTEXT: Mapping[str, Callable[[_Context], float]] = {
    "position": lambda context: float(context.position),
    "last": lambda context: float(context.size),
}
_HERE = _Expression(Type.NODES, lambda context: [context.node])


def _called(name: str, arguments: Sequence[_Expression]) -> _Expression:
    """A call.

    Raises:
        XPathError: there is no such function, or it takes other arguments.
    """
    if name == "sum" and len(arguments) == 1:
        return _sum(arguments[0])
    if name in _OF_CONTEXT and not arguments:
        return _Expression(Type.NUMBER, _OF_CONTEXT[name])
    function = _FUNCTIONS.get(name)
    if function is None and name not in (*_OF_CONTEXT, "sum"):
        raise XPathError(f"{name}() is no function of the core library of XPath 1.0")
    if function is not None and function.here and not arguments:
        arguments = [_HERE]
    if function is None or not _takes(function, len(arguments)):
        raise XPathError(f"{name}() does not take {len(arguments)} arguments")
    takes = (*function.takes, *function.takes[-1:] * len(arguments))
    given = [argument.as_type(type_) for argument, type_ in zip(arguments, takes, strict=False)]
    run = function.run

    def call(context: _Context) -> Any:
        values = [argument(context) for argument in given]
        context.budget.spend(1 + sum(len(value) for value in values if isinstance(value, str)) // _TEXT_UNIT)
        return run(*values)

    return _Expression(function.type, call)


def _takes(function: _Function, count: int) -> bool:
    most = len(function.takes)
    return most - function.optional <= count and (function.many or count <= most)


def _sum(argument: _Expression) -> _Expression:
    nodes = argument.as_type(Type.NODES)
    return _Expression(
        Type.NUMBER,
        lambda context: sum(
            (_number(_text_of(node, context.budget), Type.STRING, context.budget) for node in nodes(context)), 0.0
        ),
    )


# ------------------------------------------------------------------------ paths


_Test = Callable[[Node], bool]


@dataclass(frozen=True, slots=True)
class _Step:
    axis: Callable[[Node], Iterable[Node]]
    test: _Test
    predicates: tuple[_Expression, ...]

    def taken(self, nodes: Sequence[Node], budget: Budget) -> list[Node]:
        found: list[Node] = []
        for node in nodes:
            here = []
            for each in self.axis(node):
                budget.spend()
                if self.test(each):
                    here.append(each)
            found += _filtered(here, self.predicates, budget)
        return _ordered(found)


def _filtered(nodes: list[Node], predicates: Iterable[_Expression], budget: Budget) -> list[Node]:
    for predicate in predicates:
        holds = predicate.run if predicate.type is Type.NUMBER else predicate.as_type(Type.BOOLEAN)
        by_position = predicate.type is Type.NUMBER
        kept = []
        for position, node in enumerate(nodes, 1):
            budget.spend()
            value = holds(_Context(node, position, len(nodes), budget))
            if value == position if by_position else value:
                kept.append(node)
        nodes = kept
    return nodes


def _walked(start: _Run, steps: Sequence[_Step]) -> _Expression:
    def run(context: _Context) -> list[Node]:
        nodes: list[Node] = start(context)
        for step in steps:
            nodes = step.taken(nodes, context.budget)
        return nodes

    return _Expression(Type.NODES, run)


def _from_root(context: _Context) -> list[Node]:
    return [(context.node, *context.node.ancestors())[-1]]


_ANY_BELOW = _Step(_AXES["descendant-or-self"], lambda node: True, ())
_NODE_TYPES: Mapping[str, _Test] = {
    "node": lambda node: True,
    "text": lambda node: node.text is not None,
    "comment": lambda node: False,
    "processing-instruction": lambda node: False,
}

# ------------------------------------------------------------------------ grammar

_NCNAME = r"[^\W\d][\w.\-]*"
_TOKEN = re.compile(
    rf"""[ \t\r\n]*(?:
    (?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)
    |(?P<literal>"[^"]*"|'[^']*')
    |(?P<name>{_NCNAME}(?::(?!:)(?:{_NCNAME}|\*))?)
    |(?P<sign>::|//|\.\.|<=|>=|!=|[|+\-=<>/\[\]().@,*])
    |(?P<variable>\$)
    )""",
    re.VERBOSE,
)
#: After these a name is a name and a star is a star; elsewhere both are operators (XPath 1.0 §3.7).
_BEFORE_OPERANDS = frozenset(
    {"@", "::", "(", "[", ",", "/", "//", "|", "+", "-", "=", "!=", "<", "<=", ">", ">=", "op"}
)
_WORDS = frozenset({"and", "or", "div", "mod"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip(" \t\r\n"))
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise XPathError(f"{text[at : at + 20].strip()!r} is no part of an expression")
        kind = str(match.lastgroup)
        if kind == "variable":
            raise XPathError("there are no variables")
        token = _Token(kind, match[kind])
        found.append(_operator(token) if found and _ends_operand(found[-1]) else token)
        at = match.end()
    return found


def _ends_operand(last: _Token) -> bool:
    return last.kind in ("number", "literal", "name") or (last.kind == "sign" and last.text not in _BEFORE_OPERANDS)


def _operator(token: _Token) -> _Token:
    """The token where an operator has to stand."""
    if token.kind == "name" and token.text in _WORDS:
        return _Token("op", token.text)
    return _Token("op", token.text) if token == _Token("sign", "*") else token


#: Binary operators from the weakest to the strongest.
_LEVELS: Sequence[tuple[str, ...]] = (
    ("or",),
    ("and",),
    ("=", "!="),
    ("<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "div", "mod"),
)


class _Parser:
    """Reads an expression by the grammar of XPath 1.0, and checks names, functions and types on the way."""

    def __init__(self, text: str, namespaces: Mapping[str, str]) -> None:
        self._tokens = _tokens(text)
        self._namespaces = namespaces
        self._at = 0
        self._depth = 0
        self._operators = 0

    def whole(self) -> _Expression:
        """The expression, to its end."""
        expression = self._expression()
        if self._at < len(self._tokens):
            raise XPathError(f"{self._tokens[self._at].text!r} is not expected there")
        return expression

    # -- tokens

    def _peek(self, ahead: int = 0) -> _Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else _Token("end", "")

    def _sees(self, *signs: str) -> bool:
        token = self._peek()
        return token.kind in ("sign", "op") and token.text in signs

    def _take(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _accept(self, sign: str) -> bool:
        if not self._sees(sign):
            return False
        self._at += 1
        return True

    def _require(self, sign: str) -> None:
        if not self._accept(sign):
            raise XPathError(f"{sign!r} is missing before {self._peek().text or 'the end'!r}")

    # -- expressions

    def _expression(self) -> _Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise XPathError(f"brackets are nested deeper than {MAX_DEPTH}")
        found = self._binary(0)
        self._depth -= 1
        return found

    def _binary(self, level: int) -> _Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._sees(*_LEVELS[level]):
            left = _combined(self._operator(), left, self._binary(level + 1))
        return left

    def _operator(self) -> str:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise XPathError(f"it has more than {MAX_OPERATORS} operators")
        return self._take().text

    def _unary(self) -> _Expression:
        signs = 0
        while self._accept("-"):
            signs += 1
        found = self._union()
        if not signs:
            return found
        number, factor = found.as_type(Type.NUMBER), (-1.0) ** signs
        return _Expression(Type.NUMBER, lambda context: factor * number(context))

    def _union(self) -> _Expression:
        left = self._path()
        while self._sees("|"):
            self._operator()
            left = _united(left, self._path())
        return left

    def _path(self) -> _Expression:
        if self._starts_primary():
            return self._filter()
        if self._accept("//"):
            return _walked(_from_root, [_ANY_BELOW, *self._steps()])
        if self._accept("/"):
            return _walked(_from_root, self._steps() if self._starts_step() else [])
        return _walked(lambda context: [context.node], self._steps())

    def _starts_primary(self) -> bool:
        token, following = self._peek(), self._peek(1)
        if token.kind == "name":
            return following == _Token("sign", "(") and token.text not in _NODE_TYPES
        return token.kind in ("number", "literal") or token == _Token("sign", "(")

    def _starts_step(self) -> bool:
        token = self._peek()
        return token.kind == "name" or (token.kind == "sign" and token.text in (".", "..", "@", "*"))

    def _filter(self) -> _Expression:
        primary = self._primary()
        predicates = self._predicates()
        if predicates:
            nodes = primary.as_type(Type.NODES)
            primary = _Expression(Type.NODES, lambda context: _filtered(nodes(context), predicates, context.budget))
        if self._accept("//"):
            return _walked(primary.as_type(Type.NODES), [_ANY_BELOW, *self._steps()])
        if self._accept("/"):
            return _walked(primary.as_type(Type.NODES), self._steps())
        return primary

    def _primary(self) -> _Expression:
        token = self._take()
        if token.kind == "number":
            number = float(token.text)
            return _Expression(Type.NUMBER, lambda context: number)
        if token.kind == "literal":
            text = token.text[1:-1]
            return _Expression(Type.STRING, lambda context: text)
        if token.kind == "name":
            return self._call(token.text)
        found = self._expression()
        self._require(")")
        return found

    def _call(self, name: str) -> _Expression:
        self._require("(")
        arguments: list[_Expression] = []
        while not self._accept(")"):
            if arguments:
                self._require(",")
            arguments.append(self._expression())
        return _called(name, arguments)

    # -- steps

    def _steps(self) -> list[_Step]:
        steps = [self._step()]
        while self._sees("/", "//"):
            if self._take().text == "//":
                steps.append(_ANY_BELOW)
            steps.append(self._step())
        return steps

    def _step(self) -> _Step:
        if self._accept("."):
            return _Step(_AXES["self"], _NODE_TYPES["node"], ())
        if self._accept(".."):
            return _Step(_AXES["parent"], _NODE_TYPES["node"], ())
        axis = "attribute" if self._accept("@") else self._axis()
        test = self._test()
        return _Step(_AXES[axis], test, self._predicates())

    def _axis(self) -> str:
        if self._peek(1) != _Token("sign", "::"):
            return "child"
        axis = self._take().text
        self._require("::")
        if axis not in _AXES:
            raise XPathError(f"{axis!r} is no axis")
        return axis

    def _test(self) -> _Test:
        token = self._take()
        if token == _Token("sign", "*"):
            return lambda node: node.tag != ""
        if token.kind != "name":
            raise XPathError(f"a step is missing before {token.text or 'the end'!r}")
        if self._sees("("):
            return self._node_type(token.text)
        prefix, _, local = token.text.rpartition(":")
        namespace = self._namespace(prefix) if prefix else ""
        if local == "*":
            start = f"{{{namespace}}}"
            return lambda node: node.tag.startswith(start)
        tag = f"{{{namespace}}}{local}" if namespace else local
        return lambda node: node.tag == tag

    def _node_type(self, name: str) -> _Test:
        if name not in _NODE_TYPES:
            raise XPathError(f"{name}() can't be a step")
        self._require("(")
        if name == "processing-instruction" and self._peek().kind == "literal":
            self._take()
        self._require(")")
        return _NODE_TYPES[name]

    def _namespace(self, prefix: str) -> str:
        if prefix not in self._namespaces:
            raise XPathError(f"no namespace is declared for the prefix {prefix!r}")
        return self._namespaces[prefix]

    def _predicates(self) -> tuple[_Expression, ...]:
        found = []
        while self._accept("["):
            found.append(self._expression())
            self._require("]")
        return tuple(found)


def _combined(sign: str, left: _Expression, right: _Expression) -> _Expression:
    if sign == "or":
        return _either(left, right)
    if sign == "and":
        return _both(left, right)
    return _calculated(sign, left, right) if sign in _ARITHMETIC else _compared(sign, left, right)


@dataclass(frozen=True, slots=True)
class XPath:
    """An expression that was checked; what it says is evaluated from the root."""

    type: Type
    _run: _Run

    @classmethod
    def of(cls, text: str, namespaces: Mapping[str, str]) -> XPath:
        """Read an expression; names without a prefix are in no namespace.

        Raises:
            XPathError: it is too long, not XPath 1.0, or beyond its core functions.
        """
        if len(text) > MAX_LENGTH:
            raise XPathError(f"it is longer than {MAX_LENGTH} characters")
        expression = _Parser(text, namespaces).whole()
        return cls(expression.type, expression.run)

    def evaluate(self, root: Node, cost: int = MAX_COST) -> Any:
        """The value: a list of nodes in document order, a truth, a number or a text.

        Raises:
            TooCostlyError: it visits more than ``cost`` nodes.
        """
        return self._run(_Context(root, 1, 1, Budget(cost)))

    def holds(self, root: Node, cost: int = MAX_COST) -> bool:
        """The value as a boolean.

        Raises:
            TooCostlyError: it visits more than ``cost`` nodes.
        """
        return _boolean(self.evaluate(root, cost), self.type, Budget(cost))
