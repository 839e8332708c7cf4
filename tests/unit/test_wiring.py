"""Only ``bootstrap.py`` makes adapters: nobody else calls what an adapter's package offers to make one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Packages and modules of the adapters of ports; the rest of ``observe`` is told what processes do, and is no port.
ADAPTERS = (
    *("cloud", "device", "queue", "store"),
    *("observe.webhook", "observe.mail", "observe.syslog", "observe.anchors"),
)
#: Modules beside the adapter of the record that ask it through its port, and make nothing.
ASKING = ("store.divergences", "store.lock_holders", "store.placements")
WIRING = "controller/bootstrap.py"
#: What others may call, and why that wires nothing.
MAY = {
    # Files of keys, which no port is about.
    "controller/cli/evidence.py": {"add_signing_key"},
    "controller/cli/record.py": {"add_key"},
    # The simulated wire below the sessions to devices, which the rehearsal plays.
    "controller/rehearsal/twin.py": {"Transport"},
    # The consumer of wake-ups is this door itself.
    "controller/worker/process.py": {"make_app", "make_worker"},
}


def _is_adapter(module: str) -> bool:
    def within(names: Iterable[str]) -> bool:
        return any(f"{module}.".startswith(f"controller.{name}.") for name in names)

    return within(ADAPTERS) and not within(ASKING)


def made(tree: ast.AST) -> Iterator[str]:
    """What a module calls of adapters: by its own name, or as an attribute of an imported module."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=found):
                for one in found:
                    if _is_adapter(module) or _is_adapter(f"{module}.{one.name}"):
                        names[one.asname or one.name] = one.name
            case ast.Import(names=found):
                names |= {one.asname or one.name: one.name for one in found if _is_adapter(one.name)}
            case _:
                pass
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            yield from (name for alias, name in names.items() if called == alias or called.startswith(f"{alias}."))


def test_only_the_wiring_makes_adapters() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "controller").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        module = name.removesuffix(".py").replace("/", ".")
        if name != WIRING and not _is_adapter(module):
            found[name] = set(made(ast.parse(path.read_text(encoding="utf-8"))))
    assert {name: calls for name, calls in found.items() if calls} == MAY


@pytest.mark.parametrize(
    "text",
    [
        "from controller.store import open_store\nopen_store(url)",
        "from controller.store import open_store as at\nat(url)",
        "def find():\n  from controller.store.store import SqlStore\n  return SqlStore(url)",
        "from controller import store\nstore.open_store(url)",
        "import controller.store\ncontroller.store.open_store(url)",
        "from controller.observe import webhook\nwebhook.HttpWebhook(url)",
        "from controller.observe.webhook import HttpWebhook\nHttpWebhook(url)",
        "from controller.store import SqlStore\nSqlStore.at(url)",
    ],
)
def test_wiring_is_found_however_it_is_spelled(text: str) -> None:
    assert [*made(ast.parse(text))]


@pytest.mark.parametrize(
    "text",
    [
        "from controller.bootstrap import open_memory\nopen_memory(clock)",
        "from controller.store import SqlStore\ndef act(store: SqlStore) -> None:\n  store.close()",
        "from controller.observe.rounds import Rounds\nRounds(clock)",
    ],
)
def test_use_of_what_was_made_is_no_wiring(text: str) -> None:
    assert not [*made(ast.parse(text))]
