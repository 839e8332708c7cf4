"""Only ``bootstrap.py`` makes adapters: nobody else calls what an adapter's package offers to make one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Packages and modules of the adapters of ports; the rest of ``observe`` is told what processes do, and is no
#: port. That nobody else imports what opens sessions to devices is a contract of the import linter.
ADAPTERS = (
    *("queue", "store", "drivers.devices"),
    *(f"drivers.{kind}.devices" for kind in ("cli", "kubernetes", "netconf")),
    *("drivers.netconf.connect", "drivers.netconf.transport"),
    *("observe.webhook", "observe.mail", "observe.syslog", "observe.anchors"),
)
#: The package of the record offers values and repositories besides; only these open a database.
OPENS = {"AsyncStore", "Database", "LoopStore", "Store", "make_engine", "open_store", "upgrade", "upgrade_database"}
WIRING = "controller/bootstrap.py"
#: What others may call, and why that wires nothing.
MAY = {
    # The simulated wire below the sessions to devices, which the rehearsal plays.
    "controller/rehearsal/twin.py": {"Transport"},
    # The consumer of wake-ups is this door itself.
    "controller/worker/process.py": {"make_app", "make_worker"},
}


def _within(module: str, names: Iterable[str]) -> bool:
    return any(f"{module}.".startswith(f"controller.{name}.") for name in names)


def _imported(tree: ast.AST) -> dict[str, str]:
    """Names that a module has of adapters, each with the whole path that it stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=found):
                names |= {one.asname or one.name: f"{module}.{one.name}" for one in found}
            case ast.Import(names=found):
                names |= {one.asname or one.name: one.name for one in found}
            case _:
                pass
    return {name: path for name, path in names.items() if _within(path, ADAPTERS)}


def _makes(path: str) -> bool:
    return not _within(path, ["store"]) or bool(OPENS & set(path.split(".")))


def made(tree: ast.AST) -> Iterator[str]:
    """What a module calls of adapters: by its own name, or as an attribute of an imported module."""
    names = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            for name, path in names.items():
                if f"{called}.".startswith(f"{name}.") and _makes(path + called.removeprefix(name)):
                    yield path.rpartition(".")[2]


def test_only_the_wiring_makes_adapters() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "controller").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        module = name.removesuffix(".py").replace("/", ".")
        if name != WIRING and not _within(module, [*ADAPTERS, "drivers"]):
            found[name] = set(made(ast.parse(path.read_text(encoding="utf-8"))))
    assert {name: calls for name, calls in found.items() if calls} == MAY


@pytest.mark.parametrize(
    "text",
    [
        "from controller.store import open_store\nopen_store(url)",
        "from controller.store import open_store as at\nat(url)",
        "def find():\n  from controller.store.store import Store\n  return Store(url)",
        "from controller import store\nstore.open_store(url)",
        "import controller.store\ncontroller.store.open_store(url)",
        "from controller.observe import webhook\nwebhook.HttpWebhook(url)",
        "from controller.observe.webhook import HttpWebhook\nHttpWebhook(url)",
        "from controller.store import Store\nStore.at(url)",
    ],
)
def test_wiring_is_found_however_it_is_spelled(text: str) -> None:
    assert [*made(ast.parse(text))]


@pytest.mark.parametrize(
    "text",
    [
        "from controller.bootstrap import open_memory\nopen_memory(clock)",
        "from controller.store import Store\ndef act(store: Store) -> None:\n  store.close()",
        "from controller.store import RunRequest\nRunRequest(playbook)",
        "from controller.observe.rounds import Rounds\nRounds(clock)",
    ],
)
def test_use_of_what_was_made_is_no_wiring(text: str) -> None:
    assert not [*made(ast.parse(text))]
