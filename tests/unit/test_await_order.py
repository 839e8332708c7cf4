"""No attribute is read before an ``await`` in the same expression and used after it.

Python evaluates ``self.items.append(await look())`` from the left: it takes the list first, then waits. Whoever
replaces the list meanwhile never gets the item. The same holds for ``self.count += await number()``. No rule of
ruff finds this.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_OTHER_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def awaits(node: ast.AST) -> bool:
    """Whether evaluating the node waits; what functions that it defines do comes later."""
    if isinstance(node, _OTHER_SCOPES):
        return False
    if isinstance(node, ast.Await) or (isinstance(node, ast.comprehension) and node.is_async):
        return True
    return any(awaits(child) for child in ast.iter_child_nodes(node))


def reads_attribute(node: ast.AST) -> bool:
    """Whether the node is an attribute, or an item of one: something that others may replace."""
    return isinstance(node, ast.Attribute) or (isinstance(node, ast.Subscript) and reads_attribute(node.value))


def taken_too_early(source: str) -> Iterator[int]:
    """Lines where a method's object, or the left side of an augmented assignment, is read before an await."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=owner)) if reads_attribute(owner):
                if any(map(awaits, [*node.args, *node.keywords])):
                    yield node.lineno
            case ast.AugAssign() if reads_attribute(node.target) and awaits(node.value):
                yield node.lineno
            case ast.BinOp() if reads_attribute(node.left) and awaits(node.right):
                yield node.lineno


@pytest.mark.parametrize("package", ["controller", "simulators", "deploy", "tests/support"])
def test_nothing_is_read_before_an_await_and_used_after_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in taken_too_early(path.read_text())]
    assert not found, "await into a local name first, then use the attribute"


@pytest.mark.parametrize(
    ("line", "early"),
    [
        ("self.items.append(await look())", True),
        ("self.by_name['a'].update(more=await look())", True),
        ("self.items.extend([x async for x in looks()])", True),
        ("self.count += await number()", True),
        ("self.counts['a'] += await number()", True),
        ("return self.count + await number()", True),
        ("items.append(await look())", False),
        ("self.record(await look())", False),
        ("self.by_name['a'] = await look()", False),
        ("self.tasks.append(create(lambda: look()))", False),
        ("return await number() + self.count", False),
    ],
)
def test_the_rule_tells_them_apart(line: str, early: bool) -> None:
    assert [*taken_too_early(f"async def f(self, items):\n    {line}")] == ([2] if early else [])
