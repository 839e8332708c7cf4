"""Every command declares its permissions by the routes that it calls."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from controller.cli.main import app
from controller.models.people import Permission
from tests.docs.needs import needs
from tests.docs.reference import commands

COMMANDS = dict(commands(typer.main.get_command(app)))
#: Commands that work on this machine alone.
LOCAL = {
    "minka definitions check",
    "minka evidence new-key",
    "minka evidence verify",
    "minka wait",
    "minka up",
    "minka logout",
    "minka api",
    "minka worker",
    "minka listener",
    "minka scheduler",
    "minka sim up",
    "minka sim fault",
    "minka sim pool",
    "minka network check",
    "minka playbook check",
    "minka playbook schema",
    "minka rules check",
    "minka rules rehearse",
}


def test_every_command_but_local_ones_needs_a_permission() -> None:
    assert {words for words, command in COMMANDS.items() if not needs(command)} == LOCAL & COMMANDS.keys()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("minka apply", {Permission.RUN, Permission.READ}),
        ("minka cancel", {Permission.RUN}),
        ("minka plans list", {Permission.READ}),
        ("minka approve", {Permission.APPROVE}),
        ("minka user disable", {Permission.PEOPLE}),
        ("minka token rotate", {Permission.TOKENS}),
        ("minka network load", {Permission.NETWORK}),
        ("minka login", {Permission.READ}),
    ],
)
def test_needs_are_those_of_the_routes(words: str, wanted: set[Permission]) -> None:
    assert set(needs(COMMANDS[words])) >= wanted


def test_a_call_that_no_route_answers_is_found() -> None:
    def lost() -> None:
        client: Any = None
        client.post("/v1/nothing")

    command = typer.main.get_command(_with(lost))
    with pytest.raises(AssertionError, match="no route answers"):
        needs(command)


def _with(function: Any) -> typer.Typer:
    made = typer.Typer()
    made.command()(function)
    return made
