"""``minka record``, ``minka audit``: whether the database is the newest known record, and who did what."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.access.timeline import UNREADABLE
from controller.cli import completion
from controller.cli.errors import FAILED
from controller.cli.output import (
    Json,
    Limit,
    Reason,
    client,
    out,
    print_answer,
    print_result,
    styled,
    when,
    without_digests,
)
from controller.cli.progress import working
from controller.cli.settings import settings as environment
from controller.cli.tables import Column, records
from controller.inventory.source import content_of
from controller.models.enums import RecordChoice
from controller.models.errors import InputError

#: Most anchors in one request.
_ANCHORS = 5000
#: Most bytes of a log in which they are looked for.
_LARGEST_LOG = 1 << 30

record = typer.Typer(no_args_is_help=True, help="The record itself, after a restore or a failover.")


@record.command("show", epilog="Example: minka record show")
def show(as_json: Json = False) -> None:
    """Show whether the record is in doubt, in which case nothing starts until a person decides. Exit status 1 if so."""
    state = client().get("/v1/record")
    print_answer(state, _print_state, as_json=as_json)
    if state["doubt"]:
        raise typer.Exit(FAILED)


def _print_state(state: dict[str, Any]) -> None:
    if state["doubt"]:
        out.print(styled("the record is in doubt", "red"), f"since {when(state['since'])}: {state['doubt']}")
        out.print("nothing starts on stations until a person decides: minka record accept record|devices --reason WHY")
        out.print(
            f"until {when(state['settles'])} stations may take back what nobody confirmed: where they differ from the "
            "record, accept devices only after that"
        )
    else:
        out.print(styled("the record is the newest known one", "green"))


@record.command("accept", epilog="Example: minka record accept devices --reason INC-77")
def accept(
    choice: Annotated[
        RecordChoice,
        typer.Argument(
            help="Where stations differ from what is on record, that is drift, to be repaired (record), or was applied"
            " (devices). With record, nodes that are not on record stay, unknown, until minka device adopt takes them."
        ),
    ],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Decide whether the record or the stations are right; work then continues. Changes nothing on stations."""
    with working("comparing stations with the record", shown=not as_json):
        made = client().post("/v1/record/decision", {"choice": choice.value, "reason": reason})
    print_answer(made, partial(_print_decided, choice=choice), as_json=as_json)


def _print_decided(made: dict[str, Any], choice: RecordChoice) -> None:
    if choice is RecordChoice.RECORD:
        out.print("the record is right: where stations differ from it, that is drift from now on, and is repaired")
        out.print(
            "nodes that are not on record stay on the stations, unknown and left alone (minka device drift '*'); those "
            "that the network files ask for come back on record by: minka network load, then minka device adopt '*'"
        )
    else:
        out.print(f"the stations are right: what {len(made['taken'])} of them carry beyond the record was applied")
    if made["on_hold"]:
        out.print(f"on hold, since they could not be read: {', '.join(made['on_hold'])}")


def audit(
    what: Annotated[
        str,
        typer.Argument(
            help="list; verify: prove that no row was changed or removed; new-key: make a key that signs rows from the"
            " next start of all processes on, in the file of keys on this machine."
        ),
    ] = "list",
    limit: Limit = 50,
    anchor: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="With verify: a file of anchors, or a log collector's with their lines; repeatable.",
        ),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="The same as the word verify.")] = False,
    actor: Annotated[str | None, typer.Option(help="Only acts of this person, rule or process.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, as in run.created or 'run.*'.")] = None,
    about: Annotated[
        str | None, typer.Option("--object", help="Only acts on this object, as in r-21748f9c95 or 'h-*'.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Only what concerns this device: itself, its cells, runs, jobs, plans, alarms, incidents, notices, and"
            " holds and freezes that bind it.",
            autocompletion=completion.stations,
        ),
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="From this local time on, as in 2026-12-26T06:00.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this local time, as in 2026-12-26T06:00.")] = None,
    as_json: Json = False,
) -> None:
    """Show the audit trail (who did what), newest first; or verify it: exit status 1 if it is broken or in doubt."""
    if what not in ("list", "verify", "new-key"):
        raise typer.BadParameter("say list, verify or new-key")
    if what == "new-key":
        _new_audit_key(as_json=as_json)
        return
    if verify or what == "verify":
        _verify_audit(anchor or [], as_json=as_json)
        return
    if anchor:
        raise typer.BadParameter("--anchor belongs to verify")
    times = {name: at.astimezone().isoformat() for name, at in (("since", since), ("until", until)) if at}
    found = client().all("/v1/audit", limit, actor=actor, action=action, object=about, device=device, **times)
    records(
        found,
        (
            Column("id"),
            Column("at"),
            Column("actor"),
            Column("action"),
            Column("object", 1, tells=True),
            Column("detail", 2, prose=True, tells=True),
        ),
        (
            (
                row["id"],
                when(row["at"]) if row["at"] else UNREADABLE,
                row["actor"],
                row["action"],
                row["object"],
                " ".join(f"{name}={without_digests(value)}" for name, value in row["detail"].items()),
            )
            for row in found
        ),
        as_json=as_json,
    )


def _new_audit_key(*, as_json: bool) -> None:
    from controller.bootstrap import open_database  # noqa: PLC0415
    from controller.store.database.evidence import add_key  # noqa: PLC0415

    settings = environment()
    if settings.audit_keys.startswith("env:"):
        raise InputError(f"the keys come from {settings.audit_keys}: add a line there, ID SINCE SECRET")
    with closing(open_database(settings.database, "cli")) as store:
        key = add_key(settings.key_file, store.audit.head().number + 1)
    print_result(
        {"key": key.id, "file": str(settings.key_file)},
        f"key {key.id} was added to {settings.key_file}: restart all processes",
        as_json=as_json,
    )


def _verify_audit(files: Sequence[Path], *, as_json: bool) -> None:
    with working("verifying all rows", shown=not as_json):
        proof, anchors, doubt = _proof(files)
    print_answer({**proof, "anchors": anchors, "doubt": doubt}, _print_verified, as_json=as_json)
    if doubt or not proof["whole"]:
        raise typer.Exit(FAILED)


def _print_verified(proof: dict[str, Any]) -> None:
    doubt, first = proof["doubt"], f", first at row {proof['first_broken']}: {proof['reason']}"
    if proof["whole"]:
        held = f", and holds all {proof['anchors']} anchors" if proof["anchors"] else ""
        out.print(styled("the audit trail is whole", "yellow" if doubt else "green") + held)
    elif doubt:
        out.print(styled("the audit trail is not the one that was anchored", "red") + first)
    else:
        out.print(styled("the audit trail was tampered with", "red") + first)
    if doubt:
        out.print(
            f"{styled('the record is in doubt', 'red')}, as after a restore or a failover that lost commits: {doubt}; "
            "see minka record show, and verify again once it is decided. Where nobody restored anything, the trail was "
            "tampered with"
        )


def _proof(files: Sequence[Path]) -> tuple[dict[str, Any], int, str]:
    """Whether the chain is whole and contains the anchors of files, the number of anchors, and the doubt of the record.

    A chain that is whole in itself may end too early, as after a restore: then the record is in doubt, which also
    excuses anchors of another chain. A doubt excuses no break of the chain, and none is told beside one.
    """
    from controller.models.audit import AuditAnchor  # noqa: PLC0415 - only for this

    api, anchors = client(), []
    for file in files:
        found = [
            one.model_dump() for one in AuditAnchor.found_in(content_of(file, _LARGEST_LOG).decode(errors="replace"))
        ]
        if not found:
            raise typer.BadParameter(f"{file} holds no anchor: lines with 'minka-audit epoch=… number=… hash=…'")
        anchors += found
    proof = api.get("/v1/audit/verify")
    doubt = api.get("/v1/record")["doubt"] if proof["whole"] else ""
    for start in range(0, len(anchors), _ANCHORS):
        if proof["whole"]:
            proof = api.post("/v1/audit/anchors", {"anchors": anchors[start : start + _ANCHORS]})
    return proof, len(anchors), doubt
