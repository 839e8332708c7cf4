"""Which tests a module has: ``python -m tests.tests_of controller/plan/rows.py``, or of all modules without a name.

By this rule: tests of the module's name (``test_rows.py``) in a folder of its package, then those that import it. A
module with neither is tested through others: ``THROUGH`` names the tests of a few, else they are those of the modules
that import it.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("controller", "simulators")
_STORE, _INTENT = "tests/contract/store", ("tests/unit/intent/test_checks.py", "tests/unit/intent/test_properties.py")
#: Tests of modules that have none of their own, where those of the modules that import them say little of them.
THROUGH: Mapping[str, tuple[str, ...]] = {
    "controller/intent/compile.py": _INTENT,
    "controller/intent/identities.py": _INTENT,
    "controller/intent/links.py": _INTENT,
    "controller/intent/own_cells.py": _INTENT,
    "controller/intent/tracking_areas.py": _INTENT,
    "controller/store/across/tenants.py": ("tests/security/test_tenants.py",),
    "controller/store/audit/integrity.py": ("tests/contract/store/test_record.py",),
    "simulators/control/bodies.py": ("tests/integration/simulators/test_control.py",),
    "simulators/equipment/supervision.py": ("tests/unit/simulators/equipment/test_oran.py",),
}

# To parse all files takes a hundred times as long as to find these lines.
_IMPORT = re.compile(r"^[ \t]*(?:from ([\w.]+) import (\([^)]*\)|.*)|import ([\w., ]+))", re.MULTILINE)
_NAME, _COMMENT = re.compile(r"(?:^|[(,])\s*(\w+)"), re.compile(r"#.*")


def modules() -> list[str]:
    """All modules by path, but for migrations, which have tests of their own, and packages that only export."""
    found = (path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(str(path) for path in found if not path.name.startswith("__") and "migrations" not in path.parts)


def tests_of(module: str) -> list[str]:
    """Paths of the tests of a module, those first that bear its name."""
    if own := _own(module):
        return own
    return list(THROUGH.get(module, ())) or sorted({test for user in _users()[_dotted(module)] for test in _own(user)})


def _own(module: str) -> list[str]:
    by_name, by_import = _tests()
    named = [test for test in by_name[Path(module).stem] if _is_near(test, module)]
    return list(dict.fromkeys([*named, *sorted(by_import[_dotted(module)])]))


def _dotted(module: str) -> str:
    return module.removesuffix(".py").replace("/", ".")


@cache
def _users() -> Mapping[str, set[str]]:
    """Modules by what they import."""
    users: defaultdict[str, set[str]] = defaultdict(set)
    for module in modules():
        for name in _imported(ROOT / module):
            users[name].add(module)
    return users


def _is_near(test: str, module: str) -> bool:
    """Whether a test's folders name the module's package, or one above it."""
    return bool(set(Path(test).parts) & set(Path(module).parts[1:-1])) or len(Path(module).parts) == 2


@cache
def _tests() -> tuple[Mapping[str, list[str]], Mapping[str, set[str]]]:
    """Test files by the module name they bear, and by the modules that they import."""
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    by_import: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        test = str(path.relative_to(ROOT))
        by_name[path.stem.removeprefix("test_")].append(test)
        for name in _imported(path):
            by_import[name].add(test)
    return by_name, by_import


def _imported(path: Path) -> Iterator[str]:
    """Modules that a file imports, or a program in one of its texts, and what might be some: names from packages."""
    for package, names, modules in _IMPORT.findall(path.read_text(encoding="utf-8")):
        yield from (module.split()[0] for module in modules.split(",") if module.strip())
        if package:
            yield package
            yield from (f"{package}.{name}" for name in _NAME.findall(_COMMENT.sub("", names)))


if __name__ == "__main__":
    for each in sys.argv[1:] or modules():
        print(f"{each}: {', '.join(tests_of(each)) or 'none'}")
