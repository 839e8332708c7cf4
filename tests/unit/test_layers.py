"""Contracts between packages hold for each package, also for a new one."""

from __future__ import annotations

import ast
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Contract → packages of the controller that may do what it forbids to all others.
MAY: dict[str, set[str]] = {
    "twin": {"rehearsal"},
    "queue": {"queue"},
    "drivers": {"drivers"},
    "sessions": {"bootstrap", "drivers", "rehearsal"},
    "store": {"store"},
}
#: The contract of the layers that are pure, and the layer above them.
PURE, ABOVE = "pure", "ports"
#: The half of drivers that is pure, too: how devices are reached, and what they and we say.
PURE_OF_DRIVERS = {"active_alarms", "codec", "equipment", "external_io", "markup", "measurements", "registry", "target"}


def contracts() -> dict[str, dict[str, list[str]]]:
    """Contracts of the import linter by name, with the lists that they are made of."""
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return {
        section.rpartition(":")[2]: {key: value.split() for key, value in parser[section].items()}
        for section in parser.sections()
        if ":contract:" in section
    }


def layers() -> list[str]:
    """Packages of the controller, those that know the most first."""
    return [name for name in contracts()["layers"]["layers"] if name != "|"]


def sources(contract: str) -> list[str]:
    """Packages of the controller that a contract binds."""
    return [one.removeprefix("controller.") for one in contracts()[contract]["source_modules"] if one != "simulators"]


def files(package: str) -> list[Path]:
    """Modules of a package, or the module itself."""
    path = ROOT.joinpath("controller", *package.split("."))
    return [*path.rglob("*.py")] or [path.with_suffix(".py")]


def test_each_contract_about_packages_of_the_controller_is_judged_here() -> None:
    forbidding = {name for name, one in contracts().items() if one["type"] == ["forbidden"]}
    assert forbidding == {*MAY, PURE, "independence"}
    assert sources("independence") == []


@pytest.mark.parametrize("contract", MAY)
def test_a_contract_binds_all_packages_but_those_named_here(contract: str) -> None:
    assert sorted(sources(contract)) == sorted({*layers()} - MAY[contract])


def test_all_layers_below_the_ports_are_pure() -> None:
    layered = [one for one in sources(PURE) if not one.startswith("drivers.")]
    assert sorted(layered) == sorted(layers()[layers().index(ABOVE) + 1 :])


def test_the_half_of_drivers_that_does_not_speak_is_pure() -> None:
    drivers = ROOT / "controller" / "drivers"
    pure = {
        ".".join(path.relative_to(drivers.parent).with_suffix("").parts)
        for path in drivers.rglob("*.py")
        if path.stem in PURE_OF_DRIVERS
    }
    assert {one for one in sources(PURE) if one.startswith("drivers.")} == pure


def test_nothing_pure_calls_by_http() -> None:
    """The import linter knows ``urllib`` as a whole, and names of resources are read by its parser."""
    modules = [file for package in sources(PURE) for file in files(package)]
    nodes = [(file, node) for file in modules for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    imported = [
        (str(file), name)
        for file, node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    ]
    assert "urllib.parse" in {name for _, name in imported}
    assert [one for one in imported if (one[1] or "").startswith("urllib") and one[1] != "urllib.parse"] == []
