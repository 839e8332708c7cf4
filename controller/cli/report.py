"""``minka report``: statements of what a tenant got in a month, as files that can be signed and verified."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.errors import DIFFERENT, CliError
from controller.cli.evidence import NOTE
from controller.cli.output import Json, Limit, bold, client, counted, err, out, print_answer, print_result, when
from controller.cli.progress import working
from controller.cli.tables import Column, records, table
from controller.inventory.source import content_of
from controller.models.enums import StatementForm, StatementKind
from controller.models.errors import AbsentError, InputError, in_words

report = typer.Typer(
    no_args_is_help=True,
    help="Statements of what a tenant got in a month: drafted, issued, verified.",
)

_FORMS = ("text", *StatementForm)
#: Most rows of a sheet on the terminal.
_ROWS = 40
#: Columns of a sheet that are shown on a narrow terminal too: the first ones tell its rows apart.
_TELLING = 4
_ID = re.compile(rb"\b(?:" + "|".join(StatementKind).encode() + rb")-[a-z0-9-]{1,64}-20[0-9]{2}-[01][0-9]-v[0-9]+\b")

Tenant = Annotated[str, typer.Argument(help="Id of the tenant.", autocompletion=completion.tenants)]
Month = Annotated[str, typer.Option(help="Month in the network's time zone, as in 2026-10.")]
Form = Annotated[str, typer.Option("--format", help=f"{', '.join(_FORMS)}: text is for the terminal.")]
Version = Annotated[int | None, typer.Option(help="An issued version. Default: the latest.")]
OutputFile = Annotated[Path | None, typer.Option("--to", help="File to write to. Default: the terminal.")]


def _command(kind: StatementKind, text: str) -> Callable[..., None]:
    def show(
        tenant: Tenant,
        month: Month,
        form: Form = "text",
        version: Version = None,
        to: OutputFile = None,
        as_json: Json = False,
    ) -> None:
        wanted = "json" if as_json else form
        if wanted not in _FORMS:
            raise typer.BadParameter(f"say one of {', '.join(_FORMS)}", param_hint="--format")
        path = f"/v1/statements/{kind}/{tenant}/{month}"
        content, issued = _read(path, "json" if wanted == "text" else wanted, version)
        if to is not None:
            to.write_bytes(content)
            if issued:
                _keep_note(path, version, to)
        elif wanted == "text":
            _print(json.loads(content))
        else:
            typer.echo(content.decode(), nl=False)

    show.__doc__ = text
    return show


for _kind, _text in {
    StatementKind.SLA: "Availability against agreements, error budget, outages, incidents and changes of a month.",
    StatementKind.VOLUME: "Volume of a month by PLMN, QCI or 5QI and slice, by day and by cell.",
    StatementKind.QUALITY: "Key performance indicators of a month, of the tenant's own part of shared cells.",
    StatementKind.CAPACITY: "Shares against use, congested cells and backhaul of a month; the host's alone.",
    StatementKind.SETTLEMENT: "What a tenant owes for a month by the prices of its agreements, less credits.",
}.items():
    report.command(
        _kind.value, epilog=f"Example: minka report {_kind} bitel --month 2026-10 --format html --to b.html"
    )(_command(_kind, _text))


def _read(path: str, form: str, version: int | None) -> tuple[bytes, bool]:
    """The file of a statement, and whether it is issued; where none is on record, that of its draft."""
    try:
        with working("asking for the statement"):
            return client().get_file(path, format=form, version=version), True
    except CliError as error:
        if error.code != AbsentError.code or version is not None:
            raise
    content = _draft(path, form)
    err.print("not issued: this is a draft, which is on no record")
    return content, False


def _draft(path: str, form: str) -> bytes:
    with working("working out the figures"):
        return client().get_file(f"{path}/draft", format=form)


def _keep_note(path: str, version: int | None, file: Path) -> None:
    """Write the signed note beside the file of an issued statement."""
    try:
        note = client().get_file(f"{path}/note", version=version)
    except CliError as error:
        if error.code != AbsentError.code:
            raise
        err.print("it was issued before statements were signed")
    else:
        file.with_name(file.name + NOTE).write_bytes(note)


@report.command("issue", epilog="Example: minka report issue sla bitel --month 2026-10")
def issue(
    kind: Annotated[StatementKind, typer.Argument(help="Kind of statement.")],
    tenant: Tenant,
    month: Month,
    correct: Annotated[
        str, typer.Option(help="Why to compute the figures again; if they differ, they become the next version.")
    ] = "",
    anew: Annotated[
        bool, typer.Option("--anew", help="After a restore: none was issued on the record that was lost.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: Json = False,
) -> None:
    """Put a month on record as it will be signed: shows the figures, asks, and issues. What is issued never changes."""
    path = f"/v1/statements/{kind}/{tenant}/{month}"
    made = json.loads(_read(path, "json", None)[0])
    if made["version"] and not correct:
        print_result(made, f"{made['id']} is on record since {when(made['issued'])}", as_json=as_json)
        return
    if correct:
        made = json.loads(_draft(path, "json"))
    if not as_json:
        _print(made, sheets=1)
    if not yes:
        if not out.is_terminal:
            raise typer.BadParameter(
                "it can't be taken away again: look at the draft, and say --yes", param_hint="--yes"
            )
        typer.confirm(f"issue {kind} of {made['tenant_name']} for {month}?", abort=True)
    asked = {"reason": correct, "anew": anew, "figures": made["figures"]}
    with working("putting the statement on record"):
        said = json.loads(client().post_file(path, asked, format="json"))
    print_result(said, f"{said['id']} is on record since {when(said['issued'])}", as_json=as_json)


def _print(one: dict[str, Any], sheets: int | None = None) -> None:
    drafted = f"DRAFT of {when(one['drafted'])}, not on record"
    name = f"version {one['version']}, issued {when(one['issued'])}" if one["version"] else drafted
    out.print(bold(f"{one['kind']} of {one['tenant_name']}, {one['month']} ({one['timezone']}):"), name)
    if one["reason"]:
        out.print("why:", one["reason"])
    for sheet in list(one["sheets"].values())[:sheets]:
        rows = [list(row.values()) for row in sheet["rows"]]
        columns = [_column(index, column) for index, column in enumerate(sheet["columns"])]
        out.print()
        table(columns, rows[:_ROWS], sheet["title"])
        if len(rows) > _ROWS:
            out.print(f"{counted(len(rows) - _ROWS, 'more row')}: --format csv")


def _column(index: int, column: dict[str, str]) -> Column:
    unit = f" [{column['unit']}]" if column["unit"] else ""
    return Column(column["name"].replace("_", " ") + unit, index, tells=index < _TELLING)


@report.command("take-back", epilog="Example: minka report take-back bitel.json")
def take_back(
    file: Annotated[Path, typer.Argument(help="The statement as JSON, as it was issued.", exists=True, dir_okay=False)],
    note: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Its signed note. Default: FILE.note.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its CSV, if asked for.")] = None,
    html: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its HTML, if asked for.")] = None,
    as_json: Json = False,
) -> None:
    """Put a statement on record again that was issued before an older backup was restored, by its signed files."""
    given = {"json_file": file, "csv_file": csv, "html_file": html, "note": note or file.with_name(file.name + NOTE)}
    try:
        body = {name: content_of(one).decode() for name, one in given.items() if one is not None}
    except UnicodeDecodeError as error:
        raise InputError(f"a file of the statement can't be read: {in_words(error)}") from error
    said = client().post("/v1/statements/taken-back", body)
    print_result(said, f"{said['id']} is on record again, issued {when(said['issued'])}", as_json=as_json)


@report.command("list", epilog="Example: minka report list --tenant bitel")
def list_reports(
    limit: Limit = 50,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.", autocompletion=completion.tenants)] = None,
    kind: Annotated[StatementKind | None, typer.Option(help="Only of this kind.")] = None,
    month: Annotated[str | None, typer.Option(help="Only of this month, as in 2026-10.")] = None,
    as_json: Json = False,
) -> None:
    """List issued statements, newest first; a tenant sees its own."""
    found = client().all("/v1/statements", limit, tenant=tenant, kind=kind, month=month)
    names = ("id", "kind", "tenant", "month", "version", "issued", "by", "reason")
    rows = ([when(one[name]) if name == "issued" else one[name] for name in names] for one in found)
    columns = [Column(name, rank, prose=name == "reason", tells=True) for rank, name in enumerate(names)]
    records(found, columns, rows, as_json=as_json)


@report.command("verify", epilog="Example: minka report verify bitel-2026-10.csv")
def verify(
    file: Annotated[Path, typer.Argument(help="A statement as JSON, CSV or HTML.", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Verify that a file is, byte for byte, an issued statement, by its digest on the audit trail."""
    content = content_of(file)
    try:
        proof = client().get(f"/v1/statements/proofs/{hashlib.sha256(content).hexdigest()}")
    except CliError as error:
        if error.code != AbsentError.code:
            raise
        named = _ID.search(content)
        lost = "it was changed, or issued on a record that was lost"
        says = f": it claims to be {named[0].decode()}; {lost} (`minka evidence verify`)" if named else ""
        raise CliError(f"{file} is not the file of an issued statement{says}", DIFFERENT) from error
    if proof["wrong"]:
        row = f"audit row {proof['row']}" if proof["row"] else "the audit row"
        raise CliError(f"{row}, which has the digest of {file}, can't be trusted: {proof['wrong']}", DIFFERENT)
    print_answer(proof, partial(_print_proof, file=file), as_json=as_json)


def _print_proof(proof: dict[str, Any], file: Path) -> None:
    one = proof["statement"]
    out.print(f"{file} is {one['id']} as {proof['form']}, issued {when(one['issued'])} by {one['by']}")
    if proof["row"]:
        out.print(f"audit row {proof['row']} has its digest, with the hash {proof['hash']}")
    else:
        out.print("the audit trail has its digest, in a row that is as it was written")
    if one["version"] < one["latest"]:
        out.print(f"version {one['latest']} has corrected it since")
