"""The ``minka`` command."""

from __future__ import annotations

import sys
from typing import Annotated, Any, NoReturn

import typer

from controller import __version__
from controller.cli import (
    accounts,
    alarms,
    approvals,
    definitions,
    device,
    evidence,
    functions,
    incidents,
    kpis,
    measurements,
    network,
    oncall,
    plan,
    playbook,
    processes,
    questions,
    record,
    remediation,
    report,
    runs,
    shift,
    works,
)
from controller.cli.errors import FAILED, WRONG_INPUT, CliError
from controller.cli.lazy import lazily
from controller.cli.output import err, manner, print_json, styled
from controller.models.errors import InputError, MinkaError, NetworkFilesError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Operations controller of shared radio networks: sharing agreements in, verified base stations out.",
    epilog="A first tour: minka up --sim deploy/networks/peru-mini, then minka network load,"
    " minka device adopt, minka plan, minka apply.",
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
    wide: Annotated[
        bool,
        typer.Option(
            "--wide", help="Show all columns of tables, however narrow the terminal; the pager scrolls sideways."
        ),
    ] = False,
    no_pager: Annotated[
        bool, typer.Option("--no-pager", help="Never hand long output to a pager (MINKA_PAGER, else PAGER, else less).")
    ] = False,
) -> None:
    """See the app's help."""
    manner.wide, manner.pager = wide, not no_pager


app.add_typer(network.app, name="network")
app.command(epilog="Example: minka plan 'region=cusco' --expect 13")(plan.plan)
app.command(epilog="Example: minka apply 42327bc0ca30 --canary 2 --reason CHG-1042")(plan.apply)
app.add_typer(plan.plans, name="plans")
app.add_typer(playbook.app, name="playbook")
app.add_typer(definitions.app, name="definitions")
app.command(epilog="Example: minka runs --state running")(runs.runs)
app.command(epilog="Example: minka show r-21748f9c95")(runs.show)
app.command(epilog="Example: minka watch r-21748f9c95")(runs.watch)
app.command(epilog="Example: minka pause r-21748f9c95")(runs.pause)
app.command(epilog="Example: minka resume r-21748f9c95")(runs.resume)
app.command(epilog="Example: minka cancel r-21748f9c95")(runs.cancel)
app.command(epilog="Example: minka questions r-21748f9c95")(questions.questions)
app.command(epilog="Example: minka answer r-21748f9c95 yes --reason CHG-1042")(questions.answer)
app.command(epilog="Example: minka undo r-21748f9c95 --remove bitel=102")(plan.undo)
app.command(epilog="Example: minka approvals r-21748f9c95")(approvals.approvals)
app.command(epilog="Example: minka approve r-21748f9c95 --reason CHG-1042")(approvals.approve)
app.command(epilog="Example: minka reject r-21748f9c95 --reason 'not in the harvest'")(approvals.reject)
app.command(epilog="Example: minka override r-21748f9c95 --reason INC-77")(approvals.override)
app.command(epilog="Example: minka notices --limit 5 --json")(approvals.notices)
app.add_typer(approvals.freezes, name="freeze")
app.add_typer(device.app, name="device")
app.add_typer(functions.functions, name="function")
app.add_typer(functions.pools, name="pool")
app.add_typer(approvals.holds, name="hold")
app.add_typer(alarms.alarms, name="alarms")
app.add_typer(incidents.incidents, name="incidents")
app.add_typer(kpis.kpis, name="kpi")
app.add_typer(measurements.measurements, name="measurements")
app.add_typer(works.works, name="works")
app.add_typer(oncall.oncall, name="oncall")
app.add_typer(report.report, name="report")
app.add_typer(evidence.evidence, name="evidence")
app.add_typer(shift.shift, name="shift")
app.add_typer(remediation.rules, name="rules")
app.add_typer(remediation.remediation, name="remediation")
app.add_typer(accounts.tokens, name="token")
app.add_typer(accounts.users, name="user")
app.command(epilog="Example: echo $TOKEN | minka login")(accounts.login)
app.command(epilog="Example: minka logout")(accounts.logout)
app.command(epilog="Example: minka whoami")(accounts.whoami)
app.add_typer(record.record, name="record")
app.command(epilog="Example: minka audit --limit 5 --json")(record.audit)
app.command(epilog="Example: minka up --sim deploy/networks/peru-mini")(processes.up)
app.command(epilog="Example: minka wait")(processes.wait)
app.command(epilog="Example: MINKA_DATABASE_URL=postgresql://minka@db/minka minka api")(processes.api)
app.command(epilog="Example: minka worker --name worker-1")(processes.worker)
app.command(epilog="Example: minka listener")(processes.listener)
app.command(epilog="Example: minka scheduler")(processes.scheduler)
app.add_typer(processes.sim, name="sim")


#: Errors of a wrong command line: click's UsageError, and that of Typer's own copy of click.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]


def main() -> None:
    """Run a command; a known error becomes one line and an exit status, never a traceback."""
    as_json = "--json" in sys.argv
    try:
        # With --json usage errors are JSON as well; without it Typer words them.
        status = lazily(app)(prog_name="minka", standalone_mode=not as_json)
    except CliError as error:
        _leave(_message(error), error.status, error.problem)
    except InputError as error:
        _leave(error.message, WRONG_INPUT, {"detail": error.message, "type": error.code})
    except MinkaError as error:
        _leave(error.message, FAILED, {"detail": error.message, "type": error.code})
    except _USAGE_ERROR as error:
        message = str(getattr(error, "message", "") or error)
        _leave(message, WRONG_INPUT, {"detail": message, "type": "usage"})
    except OSError as error:
        message = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        _leave(message, FAILED, {"detail": message, "type": "file"})
    sys.exit(status)


def _message(error: CliError) -> str:
    """The message of an error; for network files all problems, a line for each kind."""
    if error.code != NetworkFilesError.code:
        return str(error)
    from controller.cli.groups import problem_lines  # noqa: PLC0415 - only for this

    problems: Any = error.problem["problems"]
    return "\n".join(problem_lines(problems))


def _leave(message: str, status: int, problem: dict[str, object]) -> NoReturn:
    if "--json" in sys.argv:
        print_json({"error": problem})
    else:
        first, *more = message.splitlines() or [""]
        err.print(styled("error:", "red"), first)
        for line in more:
            err.print(f"  {line}")
    sys.exit(status)
