"""The grammar of CEL: a text becomes a tree of nodes (https://github.com/google/cel-spec, langdef.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final


class CelSyntaxError(Exception):
    """A text that is no expression.

    Attributes:
        at: Where, in characters from the beginning.
    """

    def __init__(self, at: int, text: str) -> None:
        super().__init__(text)
        self.at = at


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression.

    Attributes:
        kind: `literal`, `name`, `select`, `has`, `call`, `list`, `map` or `macro`.
        at: Where it stands, as errors name it: at its operator or its opening bracket.
        name: Of a name, field, function or macro.
        value: Of a literal.
        target: What a field, method or macro is of; none of a function.
        parts: Arguments, items, or keys and values in turn.
        optional: A field that may be absent (`.?`).
    """

    kind: str
    at: int
    name: str = ""
    value: Any = None
    target: Node | None = None
    parts: tuple[Node, ...] = ()
    optional: bool = False


class UInt(int):
    """A number without sign, which is another type than int."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


_TOKENS: Final = re.compile(
    r"""(?P<space>(?:\s|//[^\n]*)+)
    |(?P<string>[bB]?[rR]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?|\d+[uU]?)
    |(?P<quoted>`[a-zA-Z0-9_.\-/ ]+`)
    |(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)
    |(?P<sign>\|\||&&|==|!=|<=|>=|\.\?|\[\?|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
#: Words that are no names.
RESERVED: Final = frozenset(
    {
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
        "namespace", "return", "var", "void", "while",
    }
)  # fmt: skip
#: Operators of two sides, the weakest first.
_LEVELS: Final = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))
#: Macros of lists and maps, and how many arguments each takes.
_MACROS: Final = {
    "all": (2, 3), "exists": (2, 3), "exists_one": (2,), "existsOne": (2, 3), "map": (2, 3), "filter": (2,),
    "transformList": (3, 4), "transformMap": (3, 4), "optMap": (2,), "optFlatMap": (2,),
}  # fmt: skip
#: What an expression begins with, as cel-go says it.
_BEGINS: Final = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
#: How deep an expression may be.
_DEEPEST: Final = 40


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise CelSyntaxError(at, f"Syntax error: token recognition error at: '{text[at]}'")
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(_Token(kind, match[0], at))
        at = match.end()
    return [*found, _Token("end", "<EOF>", len(text))]


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises:
        CelSyntaxError: It is none.
    """
    parser = _Parser(_tokens(text))
    node = parser.expression()
    last = parser.token
    if last.kind != "end":
        raise CelSyntaxError(last.at, f"Syntax error: extraneous input '{last.text}' expecting <EOF>")
    return node


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    @property
    def token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self.token
        self._next += 1
        return token

    def _is(self, *signs: str) -> bool:
        return self.token.kind in {"sign", "name"} and self.token.text in signs

    def _expect(self, sign: str) -> _Token:
        if not self._is(sign):
            raise self._unexpected(f"'{sign}'")
        return self._take()

    def _unexpected(self, expected: str) -> CelSyntaxError:
        token = self.token
        return CelSyntaxError(token.at, f"Syntax error: mismatched input '{token.text}' expecting {expected}")

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise CelSyntaxError(self.token.at, "expression recursion limit exceeded")
        node = self._binary(0)
        if self._is("?"):
            at = self._take().at
            then = self._binary(0)
            self._expect(":")
            node = Node("call", at, "_?_:_", parts=(node, then, self.expression()))
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node, open_ = self._binary(level + 1), True
        while self._is(*_LEVELS[level]):
            token = self._take()
            name = "@in" if token.text == "in" else f"_{token.text}_"
            # All that is joined by one "and" or "or" is one call, however much it is.
            before = node.parts if node.name == name and level < 2 and not open_ else (node,)
            node, open_ = Node("call", token.at, name, parts=(*before, self._binary(level + 1))), False
        return node

    def _unary(self) -> Node:
        signs = []
        while self._is("!", "-"):
            signs.append(self._take())
        node = self._member()
        for sign in reversed(signs):
            if sign.text == "-" and node.kind == "literal" and type(node.value) in {int, float}:
                node = Node("literal", sign.at, value=-node.value)
            else:
                node = Node("call", sign.at, "!_" if sign.text == "!" else "-_", parts=(node,))
        return node

    def _member(self) -> Node:
        node = self._primary()
        while self._is(".", ".?", "[", "[?"):
            token = self._take()
            optional = token.text.endswith("?")
            if token.text.startswith("["):
                index = self.expression()
                self._expect("]")
                node = Node("call", token.at, "_[?_]" if optional else "_[_]", parts=(node, index))
                continue
            if self.token.kind == "quoted":
                node = Node("select", token.at, self._take().text[1:-1], target=node, optional=optional)
                continue
            if self.token.kind != "name":
                raise self._unexpected("IDENTIFIER")
            name = self._take().text
            if self._is("(") and not optional:
                node = self._method(node, name)
            else:
                node = Node("select", token.at, name, target=node, optional=optional)
        return node

    def _method(self, target: Node, name: str) -> Node:
        at = self._expect("(").at
        parts = self._until(")", self.expression)
        if len(parts) not in _MACROS.get(name, ()):
            return Node("call", at, name, target=target, parts=parts)
        variables = 2 if name.startswith("transform") or (len(parts) == 3 and name != "map") else 1
        for part in parts[:variables]:
            if part.kind != "name":
                raise CelSyntaxError(part.at, "argument must be a simple name")
        return Node("macro", at, name, value=variables, target=target, parts=parts)

    def _until(self, end: str, read: Callable[[], Node]) -> tuple[Node, ...]:
        """What stands between commas, up to a closing bracket."""
        found: list[Node] = []
        while not self._is(end):
            found.append(read())
            if not self._is(","):
                break
            self._take()
        self._expect(end)
        return tuple(found)

    def _primary(self) -> Node:
        token = self.token
        if token.kind in {"string", "number"}:
            self._take()
            return Node("literal", token.at, value=_literal(token))
        if token.kind == "name":
            return self._named()
        if self._is("("):
            self._take()
            node = self.expression()
            self._expect(")")
            return node
        if self._is("["):
            self._take()
            return Node("list", token.at, parts=self._until("]", self.expression))
        if self._is("{"):
            self._take()
            entries = self._until("}", self._entry)
            return Node("map", token.at, parts=tuple(part for entry in entries for part in entry.parts))
        if self._is("."):
            self._take()
            return self._named()
        raise self._unexpected(_BEGINS)

    def _entry(self) -> Node:
        key = self.expression()
        at = self._expect(":").at
        return Node("entry", at, parts=(key, self.expression()))

    def _named(self) -> Node:
        if self.token.kind != "name" or self.token.text == "in":
            raise self._unexpected("IDENTIFIER")
        token = self._take()
        if token.text in {"true", "false", "null"}:
            return Node("literal", token.at, value={"true": True, "false": False, "null": None}[token.text])
        if token.text in RESERVED:
            raise CelSyntaxError(token.at, f"reserved identifier: {token.text}")
        if not self._is("("):
            return Node("name", token.at, token.text)
        at = self._take().at
        parts = self._until(")", self.expression)
        if token.text == "has" and len(parts) == 1:
            if parts[0].kind != "select":
                raise CelSyntaxError(at, "invalid argument to has() macro")
            return Node("has", at, parts[0].name, target=parts[0].target)
        return Node("call", at, token.text, parts=parts)


def _literal(token: _Token) -> Any:
    text = token.text
    if token.kind == "string":
        return _unquoted(token)
    if text[-1] in "uU":
        return UInt(int(text[:-1], 0))
    if text.lower().startswith("0x"):
        number = int(text, 16)
    elif re.fullmatch(r"\d+", text):
        number = int(text)
    else:
        return float(text)
    if number >= 2**63:
        raise CelSyntaxError(token.at, "invalid int literal")
    return number


def _unquoted(token: _Token) -> str | bytes:
    start = re.match("[bBrR]*", token.text)
    prefix = start[0].lower() if start else ""
    text = token.text[len(prefix) :]
    width = 3 if len(text) >= 6 and text[:3] in {"'''", '"""'} else 1
    text = text[width:-width]
    if "r" not in prefix:
        text = _ESCAPE.sub(lambda found: _escaped(found, token.at), text)
    return text.encode() if "b" in prefix else text


def _escaped(found: re.Match[str], at: int) -> str:
    for index, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
        if found[index]:
            return chr(int(found[index], base))
    if found[5] not in _ESCAPES:
        raise CelSyntaxError(at, f"Syntax error: token recognition error at: '{found[0]}'")
    return _ESCAPES[found[5]]
