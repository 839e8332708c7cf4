"""What all tests share: programs of the operating system, and what happens where they are missing."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator
from operator import itemgetter
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from controller.store import store
from tests.support.idle import watched
from tests.support.quick_stores import quick_engine, upgrade_from_copy
from tests.support.soak import SOAK

# Where nothing keeps what is compiled, each process that a test starts compiles all of it again, for a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A busy machine is no finding. Each run draws anew, but for those of CI, and the soak draws for long.
settings.register_profile(
    "minka",
    settings.get_profile("ci" if os.environ.get("CI") == "true" else "default"),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=1000 if SOAK else 50,
)
settings.load_profile("minka")

# Tracebacks with all local variables, as rich shows them, take seconds where those are networks or stores.
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback

# Python before 3.11.8 counts the depth of ``ast.parse`` for all calls together (gh-106905). A traceback that finalizers
# format meanwhile parses too, to place its carets, and the first call ends in a SystemError. So leave carets out.
if sys.version_info < (3, 11, 8):
    traceback._extract_caret_anchors_from_line_segment = lambda segment: None  # type: ignore[attr-defined]

#: The official 3GPP modules: they have no open licence and stand beside a checkout, if at all.
OFFICIAL_MODULES = Path(__file__).parents[2] / "shared" / "yang"
_OFFICIAL_TESTS = "test_official_modules.py"


def pytest_report_header() -> str:
    """Say whether the tests against the official modules run."""
    found = "found" if OFFICIAL_MODULES.is_dir() else f"not found, so all {_OFFICIAL_TESTS} are left out"
    return f"official 3GPP modules in ../shared/yang: {found}"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the tests against the official modules out where there are none."""
    return True if collection_path.name == _OFFICIAL_TESTS and not OFFICIAL_MODULES.is_dir() else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from looking at the tests and modules: hundreds of thousands of objects that stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def find_program(name: str) -> str | None:
    """Path of a program on PATH, in /usr/sbin or among PostgreSQL's binaries."""
    found = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    if found:
        return found
    candidates = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(candidates[-1]) if candidates else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests whose programs are missing, except in CI, where that is a failure; put processes of tests to use."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = _taking_turns(items)
    if os.environ.get("CI") == "true":
        return
    for item in items:
        for mark in item.iter_markers("needs"):
            missing = [program for program in mark.args if find_program(program) is None]
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}: see tests/install-programs.sh"))


#: Workers killed at every call, and folders of long tests: what begins last is to end soon.
_LONGEST, _LONG = "test_takeover.py", ("demo", "faults", "playbook", "rehearsal", "runs", "security")


def _taking_turns(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Files of whole controllers, which mostly wait, spread among files that compute: so the cores are always busy."""
    waits: dict[Path, list[pytest.Item]] = {}
    computes: dict[Path, list[pytest.Item]] = {}
    for item in items:
        kind = item.path.relative_to(Path(__file__).parent).parts[0]
        (waits if kind in ("chaos", "integration", "security") else computes).setdefault(item.path, []).append(item)
    places: list[tuple[float, list[pytest.Item]]] = []
    for files in (waits, computes):
        longest_first = sorted(files, key=lambda path: (path.name != _LONGEST, path.parent.name not in _LONG))
        places += [((at + 0.5) / len(files), files[path]) for at, path in enumerate(longest_first)]
    return [item for _, file in sorted(places, key=itemgetter(0)) for item in file]


@pytest.fixture(scope="session", autouse=True)
def _quick_stores() -> Iterator[None]:
    """Stores that tests open begin at once; migrations are tested in ``unit/store/test_migrations.py``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "upgrade_database", upgrade_from_copy)
        patch.setattr(store, "make_engine", quick_engine)
        yield


@pytest.fixture(scope="session")
def _idle_transactions() -> Iterator[list[str]]:
    """Transactions of this process in which something was worked out for long."""
    with watched() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_idle_transaction(_idle_transactions: list[str]) -> Iterator[None]:
    """Fail a test in whose time a transaction was idle for long: it would hold locks, and PostgreSQL ends it."""
    yield
    found = _idle_transactions[:]
    _idle_transactions.clear()
    assert not found, f"transactions that were idle for long: {found}"
