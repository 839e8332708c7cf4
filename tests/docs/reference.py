"""The generated parts of the documentation; ``python -m tests.docs.reference`` brings them up to date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer

from controller.api.app import api_routes, make_app
from controller.cli.main import app
from controller.models.metrics import METRICS, Part
from tests.docs.needs import needs

DOCS = Path(__file__).parents[2] / "docs" / "reference"
_BEGIN, _END = "<!-- generated", "<!-- end -->"


def commands(group: Any, words: tuple[str, ...] = ("minka",)) -> Iterator[tuple[str, Any]]:
    """All commands by their words, groups left out."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def cli_reference() -> str:
    """Every command with its help, arguments, options and example."""
    return "\n".join(_command(words, command) for words, command in commands(typer.main.get_command(app)))


def _command(words: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([words, *(_usage(a) for a in arguments), *(["[OPTIONS]"] if options else [])])
    lines = [f"### {words}", "", f"`{usage}`", "", " ".join(command.help.split()), ""]
    if asked := needs(command):
        lines += [f"Needs {', '.join(f'`{permission}`' for permission in asked)}.", ""]
    rows = [(_usage(a), a) for a in arguments] + [(", ".join([*o.opts, *o.secondary_opts]), o) for o in options]
    if rows:
        lines += ["| | |", "| --- | --- |"]
        lines += [f"| `{name}` | {_help(parameter)} |" for name, parameter in rows]
        lines.append("")
    return "\n".join([*lines, _example(command.epilog), ""])


def _usage(argument: Any) -> str:
    name = argument.name.upper()
    return name if argument.required else f"[{name}]"


def _help(parameter: Any) -> str:
    text = parameter.help.replace("|", "\\|")
    plain = isinstance(parameter.default, str | int | float) and not isinstance(parameter.default, bool)
    return f"{text} Default: `{parameter.default}`." if plain and parameter.default != "" else text


def _example(epilog: str) -> str:
    return f"Example: `{epilog.removeprefix('Example: ')}`"


def api_reference() -> str:
    """Every operation with its first sentence."""
    lines = ["| Operation | Needs | |", "| --- | --- | --- |"]
    needed = {(way.path, verb.lower()): way.permission for way in api_routes() for verb in way.methods or ()}
    for path, methods in sorted(_document()["paths"].items()):
        for method, operation in methods.items():
            text = " ".join(operation["description"].split("\n\n")[0].split())
            permission = needed[path, method]
            lines.append(f"| `{method.upper()} {path}` | {f'`{permission}`' if permission else ''} | {text} |")
    return "\n".join(lines) + "\n"


@cache
def _document() -> dict[str, Any]:
    """The OpenAPI document."""
    return make_app().openapi()


def openapi() -> str:
    """The OpenAPI document, as it is kept."""
    return json.dumps(_document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def with_part(text: str, part: str) -> str:
    """A document with its generated part replaced."""
    head, rest = text.split(_BEGIN, 1)
    mark = rest.split("\n", 1)[0]
    tail = rest.split(_END, 1)[1]
    return f"{head}{_BEGIN}{mark}\n\n{part}{_END}{tail}"


_PARTS = {Part.CONTROLLER: "The controller", Part.NETWORK: "The network", Part.TENANT: "Tenants and agreements"}


def metrics_reference() -> str:
    """Every metric with its meaning and the number of its series."""
    lines = []
    for part, title in _PARTS.items():
        lines += [
            f"### {title}",
            "",
            "| Metric | Type | Labels | Meaning | Series at most |",
            "| --- | --- | --- | --- | --- |",
        ]
        for one in METRICS:
            if one.part is part:
                tenants = " Tenants see their own." if one.for_tenants else ""
                row = (f"`{one.name}`", one.kind, ", ".join(one.labels), one.text + tenants, one.most)
                lines.append(f"| {' | '.join(row)} |")
        lines.append("")
    return "\n".join(lines)


@cache
def current() -> dict[str, str]:
    """What the generated files should hold."""
    return {
        "cli.md": with_part((DOCS / "cli.md").read_text(encoding="utf-8"), cli_reference()),
        "api.md": with_part((DOCS / "api.md").read_text(encoding="utf-8"), api_reference()),
        "metrics.md": with_part((DOCS / "metrics.md").read_text(encoding="utf-8"), metrics_reference()),
        "openapi.json": openapi(),
    }


if __name__ == "__main__":
    for name, content in current().items():
        (DOCS / name).write_text(content, encoding="utf-8")
