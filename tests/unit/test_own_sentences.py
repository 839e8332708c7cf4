"""Reasons are data: nothing in ``controller/`` decides by reading text that Minka wrote itself.

Words are made of codes and parameters for people (``controller/models/waiting.py``, ``WaitReason``); what decides looks
at the codes. So every message may be reworded, and none has to be parsed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
#: Names of fields and variables that hold our sentences.
_SPOKEN = frozenset(
    {"detail", "reason", "reasons", "message", "messages", "why", "note", "remark", "awaits", "refusal", "refused"}
    | {"because", "explanation", "sentence", "blocked", "unreachable"}
)
#: Ends of names of functions and fields that hold them.
_IN_WORDS = ("_words", "_reason", "_message", "_note", "_sentence")
#: Names of texts of any origin: these are ours where they are compared with words.
_ANY_TEXT = frozenset({"text", "said", "line", "words", "told"})
#: Methods that look into a text.
_LOOKS = frozenset(
    {"startswith", "endswith", "removeprefix", "removesuffix", "split", "rsplit", "partition", "rpartition"}
    | {"find", "rfind", "index", "rindex", "count", "splitlines", "__contains__", "__eq__", "__ne__"}
    | {"contains", "like", "ilike", "icontains", "regexp_match"}
)
#: Methods that leave a text what it is.
_SAME = frozenset({"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "capitalize", "title"})
_PATTERNS = frozenset({"match", "fullmatch", "search", "findall", "finditer", "split", "sub", "subn"})
_COMPARED = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
#: Two words, or one with what joins it to the next: "not adopted", "waits: ", " in ".
_SENTENCE = re.compile(r"[^\W\d_]{2,}.* |[^\W\d_].* .*[^\W\d_]{2,}", re.DOTALL)
_WORDY = re.compile(r"[^\W\d_]{3,}")

#: Texts by the name of a constant that holds them.
_Texts = Mapping[str, tuple[str, ...]]


def _called(node: ast.AST) -> str:
    """How an expression is called: the name, attribute, key or function that it ends with; empty for others."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Call(func=func) if (name := _called(func)).endswith(_IN_WORDS):
            return name
        case _:
            return ""


def _beneath(node: ast.AST) -> tuple[ast.AST, ...]:
    """Expressions of which one is the text of this one, or a part of it."""
    match node:
        case ast.Call(func=ast.Attribute(value=of, attr=name)) if name in _SAME:
            return (of,)
        case ast.Call(func=ast.Name(id="str"), args=[of]):
            return (of,)
        case ast.Subscript(value=of, slice=ast.Slice() | ast.Constant(value=int())):
            return (of,)
        case ast.BoolOp(values=values):
            return tuple(values)
        case ast.IfExp(body=body, orelse=other):
            return (body, other)
        case ast.NamedExpr(target=target, value=of):
            return (target, of)
        case ast.Await(value=of) | ast.FormattedValue(value=of):
            return (of,)
        case ast.JoinedStr(values=values):
            return tuple(one for one in values if isinstance(one, ast.FormattedValue))
        case _:
            return ()


def _speaks(node: ast.AST) -> bool:
    """Whether an expression holds a sentence of ours, by how it is called."""
    match node:
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id="error") | ast.Attribute(attr="error")]):
            return True
    below, name = _beneath(node), _called(node)
    return any(map(_speaks, below)) if below else name.lstrip("_") in _SPOKEN or name.endswith(_IN_WORDS)


def _may_speak(node: ast.AST) -> bool:
    """Whether it may do so: a text, without any hint whose."""
    below = _beneath(node)
    return any(map(_may_speak, below)) if below else _called(node) in _ANY_TEXT


def _texts_in(node: ast.AST, texts: _Texts) -> Iterator[str]:
    """Texts that stand in an operand: literals, names of literals, also in a container or behind formatting."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name):
            yield from texts.get(name, ())
        case ast.JoinedStr(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                yield from _texts_in(part, texts)
        case ast.Dict(keys=keys):
            for key in filter(None, keys):
                yield from _texts_in(key, texts)
        case ast.BinOp(left=left, right=right):
            yield from _texts_in(left, texts)
            yield from _texts_in(right, texts)
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple" | "list"), args=[of]):
            yield from _texts_in(of, texts)
        case ast.Subscript(value=of, slice=ast.Slice()):
            yield from _texts_in(of, texts)
        case _:
            pass


def _is_sentence(node: ast.AST, texts: _Texts) -> bool:
    return any(_SENTENCE.search(text) for text in _texts_in(node, texts))


def _is_wordy(node: ast.AST, texts: _Texts) -> bool:
    return any(_WORDY.search(text) for text in _texts_in(node, texts))


def _compares(node: ast.Compare, texts: _Texts) -> bool:
    operands = (node.left, *node.comparators)
    for op, left, right in zip(node.ops, operands, operands[1:], strict=False):
        if not isinstance(op, _COMPARED):
            continue
        both = (left, right)
        if any(_is_sentence(one, texts) for one in both):
            return True
        if any(map(_speaks, both)) and any(any(_texts_in(one, texts)) for one in both):
            return True
        if any(map(_may_speak, both)) and any(_is_wordy(one, texts) for one in both):
            return True
        among_texts = isinstance(right, ast.Call) and _called(right.func) == "values"
        if isinstance(op, ast.In | ast.NotIn) and _speaks(left) and among_texts:
            return True
    return False


def _is_tidying(node: ast.AST) -> set[ast.AST]:
    """Splits whose parts are put together again at once, as in ``" ".join(text.split())``."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join"), args=[ast.Call(args=[]) as inner]):
            return {inner}
        case _:
            return set()


def _calls(node: ast.Call, texts: _Texts) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name), args=args) if name in _PATTERNS:
            return any(map(_speaks, args[1:])) or any(_speaks(one.value) for one in node.keywords)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="str"), attr=name), args=[of, *more]) if name in _LOOKS:
            return _speaks(of) or any(_is_sentence(one, texts) for one in more)
        case ast.Call(func=ast.Attribute(value=of, attr=name), args=args) if name in _LOOKS:
            if _speaks(of) or any(_is_sentence(one, texts) for one in args[:1]):
                return True
            return _may_speak(of) and any(_is_wordy(one, texts) for one in args[:1])
        case ast.Call(func=ast.Attribute(attr=name), args=args) if name in _PATTERNS:
            return any(map(_speaks, args))
        case ast.Call(func=ast.Attribute(value=of, attr="get"), args=[asked, *_]):
            return _looks_up(of, asked, texts)
        case ast.Call(func=func, args=[one, other]) if _called(func) in ("eq", "ne", "contains"):
            return _is_sentence(one, texts) or _is_sentence(other, texts)
        case _:
            return False


def _looks_up(of: ast.AST, asked: ast.AST, texts: _Texts) -> bool:
    """Whether a sentence is the key of a table: one with sentences for keys, or any with a name in capitals."""
    table = isinstance(of, ast.Dict) or (isinstance(of, ast.Name) and of.id in texts)
    return table and _is_sentence(of, texts) and (_speaks(asked) or _may_speak(asked))


def _decides(node: ast.AST, texts: _Texts) -> bool:
    match node:
        case ast.Compare():
            return _compares(node, texts)
        case ast.Call():
            return _calls(node, texts)
        case ast.Match(subject=subject, cases=cases):
            parts = [
                part.value for case in cases for part in ast.walk(case.pattern) if isinstance(part, ast.MatchValue)
            ]
            literals = [one for one in parts if any(_texts_in(one, texts))]
            return any(_is_sentence(one, texts) for one in literals) or (_speaks(subject) and bool(literals))
        case ast.Subscript(value=of, slice=asked):
            return _looks_up(of, asked, texts)
        case _:
            return False


def _constants(tree: ast.Module, known: Mapping[str, _Texts]) -> dict[str, tuple[str, ...]]:
    """Constants of a module that hold texts, and those that it imports; members of enumerations are codes."""
    found: dict[str, tuple[str, ...]] = {}
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                found[name] = tuple(_texts_in(value, found))
            case ast.ImportFrom(module=str(module), names=names):
                of = known.get(module, {})
                found |= {one.asname or one.name: of[one.name] for one in names if one.name in of}
            case _:
                pass
    return {name: held for name, held in found.items() if held and name.isupper()}


def _reading(tree: ast.Module, known: Mapping[str, _Texts] | None = None) -> Iterator[int]:
    """Lines that read a sentence of ours."""
    texts = _constants(tree, known or {})
    tidy = set().union(*map(_is_tidying, ast.walk(tree)))
    for node in ast.walk(tree):
        if node not in tidy and _decides(node, texts):
            yield getattr(node, "lineno", 0)


def _modules() -> dict[str, ast.Module]:
    """All modules of the controller, by path."""
    return {
        str(path.relative_to(_ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((_ROOT / "controller").rglob("*.py"))
    }


def _found() -> dict[str, list[int]]:
    """Lines that read sentences of ours, by module."""
    modules = _modules()
    named = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in modules}
    known = {name: _constants(modules[path], {}) for name, path in named.items()}
    return {path: lines for path, tree in modules.items() if (lines := sorted({*_reading(tree, known)}))}


#: Lines that read text of others, or of a format of others: the module, a part of the line, and whose text it is.
FOREIGN = (
    ("controller/drivers/", "", "what stations, routers and Kubernetes APIs answer, and keys of SSH and TLS"),
    ("controller/store/database/failures.py", "connection failed", "what psycopg says"),
    ("controller/performance/files.py", 'text.strip() in ("true", "1")', "files of counters, by 3GPP"),
    ("controller/models/measurement.py", "_NOTHING", "values in files of counters"),
    ("controller/models/evidence.py", "note.rpartition", "signed notes, by C2SP"),
    ("controller/models/signed_note.py", "", "signed notes, by C2SP"),
    ("controller/cli/evidence.py", 'startswith("old ")', "extensions of heads, by C2SP"),
    ("controller/cli/client.py", "line.", "server-sent events, by HTML"),
    ("controller/cli/signin.py", "device_authorization_endpoint", "what a provider of identities answers, by OpenID"),
    ("controller/playbook/language/registry.py", "'writeOnly': True", "what pydantic writes of a model"),
    ("controller/cli/pager.py", '"cat"', "the variable PAGER of the environment"),
    ("controller/cli/client.py", '"Not Found"', "what Starlette answers where there is no such address"),
)
#: Lines that only print text, or compare codes that are called like it.
HARMLESS = (
    ("controller/cli/client.py", "re.sub(", "leaves parts of a request out of what is printed"),
    ("controller/cli/main.py", "message.splitlines()", "prints a message line by line"),
    ("controller/observe/exposition.py", "NOT_CHECKED", "Health.reason is the code of an error"),
)
#: Lines that still read sentences of ours, to be mended: no line may come to these.
LEFT: tuple[tuple[str, str, str], ...] = ()


@pytest.mark.parametrize(
    "text",
    [
        'found = said.startswith("not adopted")',
        'found = text.startswith("adopted")',
        'found = not text.endswith(" is unreachable")',
        'found = view.reason.startswith("unreachable")',
        'found = f"{reason}".strip().startswith("x")',
        'found = one.get("why", "").partition(": ")[2]',
        'found = one["why"].removeprefix("rank ")',
        'found = first.message.partition(" ")[0]',
        'found = job.detail.split("\\n")',
        'found = (error.message or "").rsplit(":")',
        'found = detail.lower().count("failed")',
        "found = note.removeprefix(_WAITS)",
        "found = self.note[len(_WAITS) :].splitlines()",
        'found = str(error).endswith("in use")',
        'found = str.startswith(reason, "hold")',
        "found = str.removeprefix(awaited, 'a yes to ')",
        'found = reason == "not adopted: observe-only"',
        'OBSERVE_ONLY = "not adopted: observe-only"\nfound = text == OBSERVE_ONLY',
        'OBSERVE_ONLY: Final = "not adopted"\nfound = sum(why == OBSERVE_ONLY for why in unplanned.values())',
        'SAID = ("not adopted", "under a hold")\nfound = one in SAID',
        'SAID = frozenset({"not adopted"})\nfound = one not in SAID',
        'found = one in ("not adopted", "under a hold")',
        'found = reason != "refused"',
        'found = reason in {"held", "frozen"}',
        'found = "hold" in job.reason',
        'found = "under a hold" in anything',
        'found = f"hold on {place}" in reason',
        'found = reason[:4] == "hold"',
        'found = (reason := why(job)) == "held"',
        "found = why in closures.frozen.values()",
        'found = _reason(station) == "held"',
        'found = hold_words(station).startswith("h")',
        'found = message.startswith("POL")',
        'found = one.name.partition(" in ")[0]',
        'match reason:\n  case "held":\n    pass',
        'match anything:\n  case "not adopted":\n    pass\n  case _:\n    pass',
        'found = {"not adopted": 1}[reason]',
        'found = {"not adopted": 1}.get(text, 0)',
        'CODES = {"not adopted": 1}\nfound = CODES.get(reason)',
        'CODES = {"not adopted": 1}\nfound = CODES[reason]',
        'found = re.findall(r"expect (\\d+) devices?", message)',
        "found = re.search(_HOLD, error.message)",
        'found = re.sub("x", "y", string=reason)',
        "found = _HOLD.fullmatch(refusal)",
        'found = eq(one, "not adopted")',
        'found = operator.contains("not adopted; under a hold", one)',
        'query = select(jobs).where(journal.c.detail.like("%hold%"))',
        'query = select(jobs).where(jobs.c.reason == "held")',
        "query = select(rows).where(columns.detail.contains(device))",
    ],
)
def test_what_reads_a_sentence_of_ours_is_found(text: str) -> None:
    assert [*_reading(ast.parse(text))]


def test_so_it_is_by_a_name_from_another_module() -> None:
    known = {"controller.models.enums": _constants(ast.parse('OBSERVE_ONLY = "not adopted"'), {})}
    tree = ast.parse("from controller.models.enums import OBSERVE_ONLY as ONLY\nfound = one == ONLY")
    assert [*_reading(tree, known)] == [2]


@pytest.mark.parametrize(
    "text",
    [
        "found = reason is NotJudged.TOO_FEW",
        "found = WaitCode.HOLD in job.waits",
        "found = finding.code == GONE_ON_RECORD",
        'found = finding.code == "left-locked"',
        'found = bool(reason) and reason != ""',
        "found = not reason or reason == before.reason",
        'found = row.action.startswith("alarm.")',
        'found = name.partition("/")[0]',
        'found = text.partition("=")',
        'found = text.split("\\n")',
        'found = " ".join(reason.split())',
        'found = "; ".join(reasons)',
        'found = f"{reason}: {message}"',
        "by_reason[reason].append(station)",
        "found = gaps.get(reason, ())",
        'found = message["type"] == "http.request"',
        'class Why(StrEnum):\n  SUM = "the sum of all"\nfound = over is Why.SUM',
        'NOUNS = {"audit row": 1}\nfound = NOUNS[noun]',
        "found = _TOKEN.match(formula)",
        'found = re.fullmatch(r"[a-z]+", name)',
        "found = {text for text in reasons.values()}",
        'out.find("unenforceable", f"{where} is {cell}, which can\'t be said")',
        "match code:\n  case WaitCode.HOLD:\n    pass",
    ],
)
def test_what_decides_by_codes_or_only_prints_is_fine(text: str) -> None:
    assert not [*_reading(ast.parse(text))]


def test_nothing_decides_by_a_sentence_of_ours() -> None:
    """A decision is by a code or a field; a line that reads the text of others gets a row in ``FOREIGN``."""
    rows = (*FOREIGN, *HARMLESS, *LEFT)
    used, strange = set(), []
    for path, lines in _found().items():
        source = (_ROOT / path).read_text(encoding="utf-8").splitlines()
        for line in lines:
            fits = {row for row in rows if path.startswith(row[0]) and row[1] in source[line - 1]}
            used |= fits
            strange += [] if fits else [f"{path}:{line}: {source[line - 1].strip()}"]
    assert strange == []
    assert [row for row in rows if row not in used] == [], "nothing needs these rows any more"
