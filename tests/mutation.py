"""Which small changes of the code no test would notice: sampled mutants of the core, by a seed.

    python -m tests.mutation [--sample N] [--seed N] [PACKAGE ...]

cosmic-ray makes the mutants, one at a time, in a copy of the checkout. The tests run once with coverage; then each
mutant is judged by the tests that reach its lines, first by those of its own module. Printed are the score of each
package (mutants killed among those sampled) and every survivor as a diff. ``make soak`` plays it with a new seed each
time. The aim is 95 %.

Left out is what changes nothing that a program does, or that can't be run:

* annotations, which nothing evaluates, and the ``*`` after which parameters have to be named;
* decorators: without one most code can't be imported, and ``frozen`` and ``slots`` only keep mistakes out;
* statements that write to the log;
* sizes of caches: they are a matter of time and room, and no answer depends on what is remembered;
* ``is`` to ``==``, or to an order such as ``<``: what is compared by identity, None and members of enumerations, is
  equal to nothing else either, and has no order but that of its letters.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.tests_of import tests_of

if TYPE_CHECKING:
    from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).parents[1]
#: Packages whose laws count most, and the tests of each.
PACKAGES: Mapping[str, Sequence[str]] = {
    "controller/access": ("tests/unit/access",),
    "controller/intent": ("tests/unit/intent", "tests/unit/plan", "tests/unit/performance"),
    "controller/nrm": ("tests/unit/nrm", "tests/unit/plan", "tests/unit/device", "tests/conformance/plan"),
    "controller/performance": ("tests/unit/performance", "tests/unit/api"),
    "controller/plan": ("tests/unit/plan", "tests/unit/intent", "tests/conformance/plan", "tests/unit/runs"),
    "controller/playbook/engine": ("tests/unit/playbook", "tests/integration/engine"),
    "controller/runs": ("tests/unit/runs", "tests/unit/playbook", "tests/unit/remediation", "tests/integration/engine"),
}
#: Operators that are left out everywhere.
_POINTLESS = re.compile(
    r"core/(RemoveDecorator|ReplaceComparisonOperator_(Is_Eq|IsNot_NotEq|Is(Not)?_(Lt|LtE|Gt|GtE)))$"
)
#: Seconds for the tests of one mutant.
_PATIENCE = 900.0
#: Line and column.
_Place = tuple[int, int]
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header")


@dataclass(frozen=True)
class Score:
    """What became of the sampled mutants of one package."""

    package: str
    killed: int
    survivors: tuple[str, ...]

    def __str__(self) -> str:
        total = self.killed + len(self.survivors)
        percent = 100 * self.killed / total if total else 100
        return f"{self.package}: {self.killed} of {total} mutants killed, {percent:.0f} %"


@dataclass(frozen=True)
class Reach:
    """Which tests reach which lines.

    Attributes:
        tests: All of them, as they were asked for.
        lines: Names of tests, by path of the module and number of the line.
        seconds: How long each test took.
    """

    tests: Sequence[str]
    lines: Mapping[str, Mapping[int, Sequence[str]]]
    seconds: Mapping[str, float]

    @classmethod
    def measure(cls, root: Path, packages: Iterable[str], tests: Sequence[str]) -> Reach:
        """Run the tests of a checkout once.

        Raises:
            RuntimeError: They fail without any mutant.
        """
        from coverage import CoverageData

        # Under coverage each test takes longer than it may elsewhere.
        covered = ["--timeout", "600", "--cov-context=test", "--cov-report=", *(f"--cov={name}" for name in packages)]
        said = _run(root, *_PYTEST, "-x", "--durations=0", *covered, *tests)
        data = CoverageData(str(root / ".coverage"))
        data.read()
        lines = {
            str(Path(file).relative_to(root.resolve())): {
                line: [context.removesuffix("|run") for context in contexts if context.endswith("|run")]
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        seconds = {name: float(took) for took, name in re.findall(r"^([\d.]+)s call +(.+?)\s*$", said, re.MULTILINE)}
        return cls(tests, lines, seconds)

    def judges(self, root: Path, mutation: MutationSpec) -> Sequence[str]:
        """The tests that may notice a mutant: those of its module first, the quickest first."""
        module = str(mutation.module_path)
        start, inside = _statement(ast.parse((root / module).read_text()), mutation.start_pos[0])
        own = tests_of(module) if (ROOT / module).exists() else []
        if not inside:
            # It runs when the module is imported, whoever does so.
            return [*(test for test in own if test.startswith(tuple(self.tests))), *self.tests]
        lines = self.lines.get(module, {})
        found = {test for line in range(start, mutation.end_pos[0] + 1) for test in lines.get(line, ())}
        return sorted(found, key=lambda test: (test.split("::")[0] not in own, self.seconds.get(test, 0), test))


def _tests(packages: Iterable[str]) -> list[str]:
    """The tests of packages, and unit tests of their modules that stand elsewhere."""
    folders = list(dict.fromkeys(chain(*(PACKAGES[package] for package in packages))))
    modules = (path.relative_to(ROOT).as_posix() for package in packages for path in (ROOT / package).rglob("*.py"))
    quick = {test for module in modules for test in tests_of(module) if test.startswith("tests/unit/")}
    return [*folders, *sorted(test for test in quick if not test.startswith(tuple(folders)))]


def mutate(root: Path, package: str, reach: Reach, sample: int, seed: int) -> Score:
    """Play so many mutants of a package of the checkout at ``root``, which is changed meanwhile.

    Raises:
        RuntimeError: cosmic-ray did not work.
    """
    survivors = []
    chosen = _sample(root, package, sample, seed)
    for mutation in chosen:
        diff = _play(root, mutation, reach.judges(root, mutation))
        survivors += [diff] if diff else []
    return Score(package, len(chosen) - len(survivors), tuple(survivors))


def _sample(root: Path, package: str, sample: int, seed: int) -> list[MutationSpec]:
    every = sorted(mutations(root, package), key=str)
    random.Random(seed).shuffle(every)
    return list(islice((mutation for mutation in every if _compiles(root, mutation)), sample))


def mutations(root: Path, package: str) -> Iterator[MutationSpec]:
    """All mutants of a package, as ``cosmic-ray init`` finds them, in a tenth of its time."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.plugins import get_operator, operator_names
    from cosmic_ray.work_item import MutationSpec

    kinds = {name: get_operator(name) for name in operator_names() if not _POINTLESS.match(name)}
    operators = {name: kind() for name, kind in kinds.items() if not kind.arguments()}
    for path in sorted((root / package).rglob("*.py")):
        module = path.relative_to(root)
        idle = _idle(ast.parse(path.read_text()))
        nodes = list(ast_nodes(get_ast_from_path(path)))
        for name, operator in operators.items():
            places = chain.from_iterable(map(operator.mutation_positions, nodes))
            for occurrence, (start, end) in enumerate(places):
                if not any(first <= start and end <= last for first, last in idle):
                    yield MutationSpec(module, name, occurrence, start, end)


def _idle(module: ast.Module) -> list[tuple[_Place, _Place]]:
    """Where annotations, decorators, makers of caches and statements that write to the log begin and end."""
    found: list[ast.expr | ast.stmt | None] = []
    for node in ast.walk(module):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found += [*node.decorator_list, node.returns]
            case ast.ClassDef():
                found += node.decorator_list
            case ast.arg() | ast.AnnAssign():
                found.append(node.annotation)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log") | ast.Attribute(attr="_log")))):
                found.append(node)
            case ast.Call(func=ast.Name(id="lru_cache")):
                found.append(node)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)) for node in found if node
    ]


def _compiles(root: Path, mutation: MutationSpec) -> bool:
    """Whether a mutant can be compiled, and changes no ``*`` among parameters, which is taken for a product."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    code = (root / mutation.module_path).read_text()
    line, column = mutation.start_pos
    if code.splitlines()[line - 1].startswith("*,", column):
        return False
    mutant = mutate_code(code, operator, mutation.occurrence)
    try:
        ast.parse(mutant or "")
    except SyntaxError:
        return False
    return mutant is not None


def _play(root: Path, mutation: MutationSpec, judges: Sequence[str]) -> str:
    """Let tests judge a mutant; the diff of one that survives, or nothing."""
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.work_item import WorkerOutcome

    # What no test reaches survives.
    command = shlex.join([*_PYTEST, "-x", *judges]) if judges else "true"
    with chdir(root):
        result = mutate_and_test([mutation], command, _PATIENCE)
    if result.worker_outcome is not WorkerOutcome.NORMAL:
        raise RuntimeError(f"cosmic-ray: {mutation}: {result.output}")
    return "" if result.is_killed else result.diff or ""


def _statement(module: ast.Module, line: int) -> tuple[int, bool]:
    """Where the statement of a line begins, and whether it runs in a function, and not when the module is imported."""
    start, inside = line, False
    for node in ast.walk(module):  # the outer ones first
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or line):
            start = node.lineno
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = inside or line >= node.body[0].lineno
    return start, inside


def _run(root: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(words)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def copy_of(root: Path, folder: Path) -> Path:
    """A copy of what git tracks, beside which everything that stands beside the checkout can be found."""
    named = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    for name in filter(None, named.decode().split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (root / name).is_file():
            shutil.copy2(root / name, target)
    return folder


def main(words: Iterable[str] | None = None) -> int:
    """Run it; 0 whatever the score is, since it is a figure and no test."""
    asked = argparse.ArgumentParser(prog="python -m tests.mutation")
    asked.add_argument("packages", nargs="*", metavar="PACKAGE", help=", ".join(PACKAGES))
    asked.add_argument("--sample", type=int, default=25, help="mutants of each package")
    asked.add_argument("--seed", type=int, default=None)
    given = asked.parse_args(None if words is None else list(words))
    if unknown := set(given.packages) - set(PACKAGES):
        asked.error(f"no such package: {', '.join(sorted(unknown))}; there are {', '.join(PACKAGES)}")
    packages = given.packages or list(PACKAGES)
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    scores = []
    with TemporaryDirectory(prefix="minka-mutants-") as folder:
        root = copy_of(ROOT, Path(folder) / "checkout")
        reach = Reach.measure(root, packages, _tests(packages))
        for package in packages:
            scores.append(mutate(root, package, reach, given.sample, seed))
            print("\n".join((str(scores[-1]), *scores[-1].survivors)), flush=True)
    killed, total = sum(one.killed for one in scores), sum(one.killed + len(one.survivors) for one in scores)
    print(f"in all {killed} of {total} sampled mutants killed, {100 * killed / max(total, 1):.0f} %; seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
