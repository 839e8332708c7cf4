"""The ``minka`` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from controller import __version__
from controller.cli import device, network, people, plan, processes, runs
from controller.cli.client import WRONG_INPUT, CliError
from controller.cli.output import err, escape, print_json
from controller.models.errors import InputError, MinkaError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Operations controller of shared radio networks: sharing agreements in, verified base stations out.",
    epilog="A first tour: minka up --sim deploy/networks/peru-mini, then minka network load, minka plan, minka apply.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"minka {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See the app's help."""


app.add_typer(network.app, name="network")
app.command(epilog="Example: minka plan 'region=cusco' --expect 13")(plan.plan)
app.command(epilog="Example: minka apply 42327bc0ca30 --canary 2 --reason CHG-1042")(plan.apply)
app.add_typer(plan.plans, name="plans")
app.command(epilog="Example: minka runs --state running")(runs.runs)
app.command(epilog="Example: minka show r-21748f9c95")(runs.show)
app.command(epilog="Example: minka watch r-21748f9c95")(runs.watch)
app.command(epilog="Example: minka cancel r-21748f9c95")(runs.cancel)
app.add_typer(device.app, name="device")
app.add_typer(people.holds, name="hold")
app.add_typer(people.alarms, name="alarms")
app.command(epilog="Example: minka audit --limit 5 --json")(people.audit)
app.command(epilog="Example: minka up --sim deploy/networks/peru-mini")(processes.up)
app.command()(processes.api)
app.command()(processes.worker)
app.command()(processes.listener)
app.command()(processes.scheduler)
app.add_typer(processes.sim, name="sim")


def main() -> None:
    """Entry point: known errors become one line and an exit status, never a traceback."""
    try:
        app()
    except CliError as error:
        _leave(str(error), error.status, error.problem)
    except InputError as error:
        _leave(error.message, WRONG_INPUT, {"detail": error.message, "type": error.code})
    except MinkaError as error:
        _leave(error.message, 1, {"detail": error.message, "type": error.code})


def _leave(message: str, status: int, problem: dict[str, object]) -> None:
    if "--json" in sys.argv:
        print_json({"error": problem})
    else:
        err.print(f"[red]error:[/] {escape(message)}")
    sys.exit(status)
