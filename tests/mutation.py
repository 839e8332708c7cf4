"""Which small changes of the code no test would notice: sampled mutants of the core, by a seed.

    python -m tests.mutation [--sample N] [--seed N] [PACKAGE ...]

cosmic-ray makes the mutants, one at a time, in a copy of the checkout; the tests that a reader would look for decide.
Printed are the score of each package (mutants killed among those sampled) and every survivor as a diff. ``make soak``
plays it with a new seed each time. The aim is 95 %.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
#: Packages whose laws count most, and the tests of each, the quickest first.
PACKAGES: Mapping[str, Sequence[str]] = {
    "controller/access": ("tests/unit/access", "tests/security/test_tenants.py", "tests/security/test_routes.py"),
    "controller/nrm": ("tests/unit/nrm", "tests/unit/plan", "tests/unit/device", "tests/conformance/plan"),
    "controller/plan": ("tests/unit/plan", "tests/unit/intent", "tests/conformance/plan", "tests/unit/runs"),
    "controller/runs": ("tests/unit/runs", "tests/unit/playbook", "tests/unit/remediation", "tests/integration/engine"),
}
#: ``A | B`` mostly stands in annotations, which nothing evaluates; without a decorator most code can't be imported.
_POINTLESS = r"core/(ReplaceBinaryOperator_BitOr_|RemoveDecorator)"
#: Seconds for the tests of one mutant.
_PATIENCE = 900.0


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


def mutate(root: Path, package: str, tests: Sequence[str], sample: int, seed: int) -> Score:
    """Play so many mutants of a package of the checkout at ``root``, which is changed meanwhile.

    Raises:
        RuntimeError: The tests fail without a mutant, or cosmic-ray did not work.
    """
    test = f"{sys.executable} -m pytest -q -x -p no:cacheprovider --no-header {' '.join(tests)}"
    settings = root / "mutation.toml"
    settings.write_text(
        f"[cosmic-ray]\nmodule-path = {json.dumps(package)}\ntimeout = {_PATIENCE}\nexcluded-modules = []\n"
        f"test-command = {json.dumps(test)}\n[cosmic-ray.distributor]\nname = 'local'\n"
        f"[cosmic-ray.filters.operators-filter]\nexclude-operators = [{json.dumps(_POINTLESS)}]\n"
    )
    session = root / "mutation.sqlite"
    session.unlink(missing_ok=True)
    _cosmic_ray(root, "cosmic-ray", "init", settings.name, session.name)
    _cosmic_ray(root, "cr-filter-operators", session.name, settings.name)
    _keep(session, sample, seed)
    _cosmic_ray(root, "cosmic-ray", "baseline", settings.name)
    _cosmic_ray(root, "cosmic-ray", "exec", settings.name, session.name)
    return _score(package, session)


def _cosmic_ray(root: Path, program: str, *words: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *words], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(words)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")


def _keep(session: Path, sample: int, seed: int) -> None:
    """Skip all mutants but a sample of them."""
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult

    with use_db(str(session), WorkDB.Mode.open) as found:
        waiting = sorted(item.job_id for item in found.pending_work_items)
        places = {item.job_id: str(item.mutations) for item in found.pending_work_items}
        # Ids are new each time, what they do is not.
        ordered = sorted(waiting, key=places.__getitem__)
        chosen = set(random.Random(seed).sample(ordered, min(sample, len(ordered))))
        found.set_multiple_results(
            [job for job in ordered if job not in chosen], WorkResult(WorkerOutcome.SKIPPED, "not sampled")
        )


def _score(package: str, session: Path) -> Score:
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import WorkerOutcome

    with use_db(str(session), WorkDB.Mode.open) as found:
        played = [result for _, result in found.results if result.worker_outcome is not WorkerOutcome.SKIPPED]
    survivors = tuple(result.diff or "" for result in played if not result.is_killed)
    return Score(package, len(played) - len(survivors), survivors)


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
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    scores = []
    with TemporaryDirectory(prefix="minka-mutants-") as folder:
        root = copy_of(ROOT, Path(folder) / "checkout")
        for package in given.packages or PACKAGES:
            scores.append(mutate(root, package, PACKAGES[package], given.sample, seed))
            print("\n".join((str(scores[-1]), *scores[-1].survivors)), flush=True)
    killed, total = sum(one.killed for one in scores), sum(one.killed + len(one.survivors) for one in scores)
    print(f"in all {killed} of {total} sampled mutants killed, {100 * killed / max(total, 1):.0f} %; seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
