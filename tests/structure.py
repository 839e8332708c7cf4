"""The size and shape of the code: lines, modules, who imports whom.

    python -m tests.structure [FOLDER]

Printed are, for each root package of the checkout (or of the one in FOLDER): lines of Python, modules, modules with a
single importer, and the longest chain of imports among modules that are on no circle. Entry points, which nobody
imports, count as modules only.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

PACKAGES = ("controller", "simulators")


def modules(root: Path) -> dict[str, Path]:
    """Each module by its dotted name; packages by that of their ``__init__``. Migrations are left out."""
    found = {}
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            if "versions" not in parts:
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(found: dict[str, Path]) -> dict[str, set[str]]:
    """What each module imports of these modules, at its top or inside a function."""

    def named(node: ast.AST) -> set[str]:
        match node:
            case ast.Import(names=names):
                return {alias.name for alias in names} & found.keys()
            case ast.ImportFrom(module=str(source), names=names, level=0):
                inner = {f"{source}.{alias.name}" for alias in names} & found.keys()
                return inner if len(inner) == len(names) else inner | ({source} & found.keys())
        return set()

    return {
        name: set().union(*map(named, ast.walk(ast.parse(path.read_text(encoding="utf-8"))))) - {name}
        for name, path in found.items()
    }


def longest(graph: dict[str, set[str]]) -> list[str]:
    """The longest chain; a module that is met again ends it."""
    above: set[str] = set()

    @cache
    def below(name: str) -> tuple[str, ...]:
        above.add(name)
        chains = [below(other) for other in sorted(graph[name] - above)]
        above.discard(name)
        return (name, *max(chains, key=len, default=()))

    chains: list[list[str]] = [list(below(name)) for name in sorted(graph)]
    return max(chains, key=len, default=[])


def main(root: Path) -> int:
    """Print it."""
    found = modules(root)
    graph = imports(found)
    importers = {name: sum(name in others for others in graph.values()) for name in found}
    for package in PACKAGES:
        own = [name for name in found if name.partition(".")[0] == package]
        lines = sum(len(found[name].read_text(encoding="utf-8").splitlines()) for name in own)
        single = sum(importers[name] == 1 for name in own)
        chain = longest({name: {o for o in graph[name] if o in own} for name in own})
        print(f"{package}: {lines} lines, {len(own)} modules, {single} with a single importer")
        print(f"  longest chain, {len(chain)} modules: {' > '.join(chain)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1])))
