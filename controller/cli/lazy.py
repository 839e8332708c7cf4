"""Builds commands only when they are called: to build all takes longer than most commands run."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_command_from_info, get_command_name, get_group


class _Flags:
    """Help that shows no value for a flag."""

    def get_params(self, ctx: Any) -> Any:
        """See ``Command.get_params`` of click."""
        params = super().get_params(ctx)  # type: ignore[misc]
        for one in params:
            if getattr(one, "is_bool_flag", False) and one.metavar is None:
                one.metavar = ""
        return params


class _Command(_Flags, TyperCommand):
    """A command with such help."""


class LazyGroup(_Flags, TyperGroup):
    """A group that has the names and help of its commands, and builds only the one that is called.

    Attributes:
        builders: Functions that build a command, by its name.
    """

    builders: dict[str, Callable[[], Any]]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Build the command that is called; see ``Group.resolve_command`` of click."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, self.builders[name]() if name in self.builders else command, rest


def lazily(app: typer.Typer) -> LazyGroup:
    """The command of an app and the apps below it, which builds subcommands when called."""
    bare = copy.copy(app)
    bare.registered_commands, bare.registered_groups = [], []
    bare.info = copy.copy(app.info)
    bare.info.cls = LazyGroup
    # Only the whole app has a callback and completion.
    made: Any = get_command(bare) if app.registered_callback else get_group(bare)
    made.builders, made.commands = {}, {}
    for command in app.registered_commands:
        assert command.callback is not None
        info = copy.copy(command)
        info.name = info.name or get_command_name(command.callback.__name__)
        info.cls = _Command
        made.commands[info.name] = TyperCommand(info.name, help=info.help or inspect.getdoc(command.callback))
        build = partial(get_command_from_info, pretty_exceptions_short=False, rich_markup_mode=app.rich_markup_mode)
        made.builders[info.name] = partial(build, info)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        assert group.name is not None
        made.commands[group.name] = TyperGroup(name=group.name, help=group.typer_instance.info.help)
        made.builders[group.name] = partial(_named, group.typer_instance, group.name)
    found: LazyGroup = made
    return found


def _named(app: typer.Typer, name: str) -> LazyGroup:
    made = lazily(app)
    made.name = name
    return made
