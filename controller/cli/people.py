"""``minka hold``, ``minka audit``, ``minka alarms``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.errors import FAILED
from controller.cli.output import Json, client, coloured, out, print_json, print_result, styled, when
from controller.cli.settings import settings as environment
from controller.cli.tables import Column, records, table
from controller.cli.waits import wait_words
from controller.models.enums import AlarmState
from controller.models.errors import InputError

#: Times of an alarm.
#: Probable cause of an alert whose name nothing here knows (``controller.models.alarm``, which takes long to import).
_OTHER_ALERT = "other-alert"
_DISTINGUISHED_NAME = re.compile(r"\w+=[^,=]+(,\w+=[^,=]+)+")
_TIMES = ("raised", "changed", "cleared", "escalated", "released", "acknowledged", "shelved_until")

Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]

#: Anchors sent at once.
_ANCHORS = 5000

holds = typer.Typer(no_args_is_help=True, help="Holds: a person's stop on a station, cell or site.")
alarms = typer.Typer(no_args_is_help=True, help="Alarms: list, follow, acknowledge.")

CommentText = Annotated[str, typer.Argument(help="What is to be said.")]
Readers = Annotated[
    list[str] | None,
    typer.Option(
        help="A tenant that is to read it; repeatable. None: your own side; the host reads all.",
        autocompletion=completion.tenants,
    ),
]


@holds.command("put", epilog="Example: minka hold put PE-CUS-0145 --reason 'rigger on the mast'")
def put(
    target: Annotated[
        str, typer.Argument(help="Station id, station/cell, or site:<id>.", autocompletion=completion.stations)
    ],
    reason: Annotated[str, typer.Option(help="Why; kept on record.")],
    until: Annotated[
        datetime | None, typer.Option(help="End, local time, as in 2026-12-26T06:00. Default: until lifted.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a hold: nothing starts there, whoever asks; plans leave the target out."""
    end = until.astimezone().isoformat() if until else None
    hold = client().post("/v1/holds", {"target": target, "reason": reason, "until": end})
    print_result(hold, f"hold {hold['id']} on {target}", as_json=as_json)


@holds.command("list", epilog="Example: minka hold list --json")
def list_holds(as_json: Json = False) -> None:
    """Holds in force."""
    columns = (
        Column("id"),
        Column("target"),
        Column("by", 1),
        Column("reason", 2, prose=True),
        Column("created", 4, time=True),
        Column("until", 3, time=True),
    )
    records(client().all("/v1/holds"), columns, as_json=as_json)


@holds.command("lift", epilog="Example: minka hold lift h-1f2e3d4c")
def lift(
    hold_id: Annotated[str, typer.Argument(help="Id of a hold, as in h-1f2e3d4c.", autocompletion=completion.holds)],
    as_json: Json = False,
) -> None:
    """Lift a hold."""
    client().delete(f"/v1/holds/{hold_id}")
    print_result({"lifted": hold_id}, f"hold {hold_id} lifted", as_json=as_json)


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
    since: Annotated[datetime | None, typer.Option(help="From this local time on, as in 2026-12-26T06:00.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this local time, as in 2026-12-26T06:00.")] = None,
    as_json: Json = False,
) -> None:
    """Show the audit trail (who did what), newest first; or verify it."""
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
    found = client().all("/v1/audit", limit, actor=actor, action=action, object=about, **times)
    if as_json:
        print_json(found)
        return
    table(
        (
            Column("id"),
            Column("at"),
            Column("actor"),
            Column("action"),
            Column("object", 2),
            Column("detail", 1, prose=True),
        ),
        (
            (
                row["id"],
                when(row["at"]),
                row["actor"],
                row["action"],
                row["object"],
                " ".join(f"{name}={value}" for name, value in row["detail"].items()),
            )
            for row in found
        ),
    )


def _new_audit_key(*, as_json: bool) -> None:
    from controller.store import open_store  # noqa: PLC0415
    from controller.store.evidence import add_key  # noqa: PLC0415

    settings = environment()
    if settings.audit_keys.startswith("env:"):
        raise InputError(f"the keys come from {settings.audit_keys}: add a line there, ID SINCE SECRET")
    with closing(open_store(settings.database)) as store:
        key = add_key(settings.key_file, store.audit.head().number + 1)
    print_result(
        {"key": key.id, "file": str(settings.key_file)},
        f"key {key.id} was added to {settings.key_file}: start all processes again",
        as_json=as_json,
    )


def _verify_audit(files: Sequence[Path], *, as_json: bool) -> None:
    proof, anchors = _proof(files)
    if as_json:
        print_json({**proof, "anchors": anchors})
    elif proof["whole"]:
        held = f", and holds all {anchors} anchors" if files else ""
        out.print(styled("the audit trail is whole", "green") + held)
    else:
        what = f", first at row {proof['first_broken']}: {proof['reason']}"
        out.print(styled("the audit trail was tampered with", "red") + what)
    if not proof["whole"]:
        raise typer.Exit(FAILED)


def _proof(files: Sequence[Path]) -> tuple[dict[str, Any], int]:
    """Whether the chain is whole and holds the anchors of files; and the number of anchors."""
    from controller.models.audit import AuditAnchor  # noqa: PLC0415 - only for this

    api, anchors = client(), []
    for file in files:
        found = [one.model_dump() for one in AuditAnchor.found_in(file.read_text(encoding="utf-8", errors="replace"))]
        if not found:
            raise typer.BadParameter(f"{file} holds no anchor: lines with 'minka-audit epoch=… number=… hash=…'")
        anchors += found
    proof = api.get("/v1/audit/verify")
    for start in range(0, len(anchors), _ANCHORS):
        if proof["whole"]:
            proof = api.post("/v1/audit/anchors", {"anchors": anchors[start : start + _ANCHORS]})
    return proof, len(anchors)


@alarms.command("list", epilog="Example: minka alarms list --state raised --state repairing")
def list_alarms(
    limit: Limit = 50,
    state: Annotated[
        list[str] | None, typer.Option(help=f"Only alarms in this state ({', '.join(AlarmState)}); repeatable.")
    ] = None,
    station: Annotated[list[str] | None, typer.Option(help="Only of this station; repeatable.")] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="Only of this tenant; repeatable.")] = None,
    managed_object: Annotated[
        list[str] | None, typer.Option("--object", help="Only of this object, as in 'EUtranCellFDD[1]'; repeatable.")
    ] = None,
    cause: Annotated[list[str] | None, typer.Option(help="Only of this probable cause; repeatable.")] = None,
    severity: Annotated[
        list[str] | None, typer.Option(help="Only of this severity, as in MAJOR; repeatable.", case_sensitive=False)
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only those that changed since then, local time, as in 2026-12-26T06:00.")
    ] = None,
    roots: Annotated[bool, typer.Option("--roots", help="Only those that follow from no other.")] = False,
    root: Annotated[str, typer.Option(help="Only those that follow from this alarm.")] = "",
    shelved: Annotated[
        bool | None, typer.Option("--shelved/--unshelved", help="Only those that are shelved, or only others.")
    ] = None,
    acknowledged: Annotated[
        bool | None,
        typer.Option("--acknowledged/--unacknowledged", help="Only those that people know of, or only others."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Alarms, newest first."""
    asked: dict[str, Any] = {"state": state, "station": station, "tenant": tenant, "object": managed_object}
    asked |= {"cause": cause, "severity": [word.upper() for word in severity or ()]}
    asked |= {"since": since.astimezone().isoformat() if since else None, "roots": roots or None, "root": root or None}
    asked |= {"shelved": shelved, "acknowledged": acknowledged}
    found = client().all("/v1/alarms", limit, **asked)
    if as_json:
        print_json(found)
        return
    table(
        (
            Column("id"),
            Column("state"),
            Column("severity", 2),
            Column("station"),
            Column("object", 1),
            Column("tenants", 5),
            Column("cells", 7),
            Column("symptoms", 9),
            Column("cause"),
            Column("problem", 4, prose=True),
            Column("count", 8),
            Column("raised", 6),
            Column("run", 4),
            Column("acknowledged", 10),
            Column("note", 3, prose=True),
        ),
        (
            (
                a["id"],
                coloured(_state(a)),
                a["severity"],
                a["station"],
                object_in_short(a),
                ", ".join(a.get("tenants", ())) or a["tenant"],
                len(a["cells"]),
                a.get("symptoms") or "",
                cause_of(a),
                "" if a["probable_cause"] == _OTHER_ALERT else a.get("specific_problem", ""),
                a.get("count", ""),
                when(a["raised"]),
                a.get("run", ""),
                f"{a['acknowledged_by']} {when(a['acknowledged'])}" if a.get("acknowledged") else "",
                _note(a),
            )
            for a in found
        ),
    )


def cause_of(one: Mapping[str, Any]) -> str:
    """The probable cause of an alarm or incident; of an alert whose cause is not known its name."""
    other = one["probable_cause"] == _OTHER_ALERT
    return str((other and one.get("specific_problem")) or one["probable_cause"])


def object_in_short(one: Mapping[str, Any]) -> str:
    """The object of an alarm or incident: the last part of its path or distinguished name."""
    name = str(one["object"]).rpartition("/")[2]
    return name.rpartition(",")[2] if _DISTINGUISHED_NAME.fullmatch(name) else name


def _state(alarm: dict[str, Any]) -> str:
    """The state of an alarm, or what keeps people and rules from it."""
    return "shelved" if alarm.get("shelved") else "announced" if alarm.get("announced") else str(alarm["state"])


def _note(alarm: dict[str, Any]) -> str:
    """What became of an alarm, or what its repair waits for, since when and who can end that; or its text."""
    if alarm.get("shelved"):
        return f"shelved by {alarm['shelved_by']} until {when(alarm['shelved_until'])}: {alarm['shelved_reason']}"
    if alarm.get("announced"):
        return f"announced work {alarm['announced']}"
    return "; ".join(map(wait_words, alarm.get("waits_for", ()))) or alarm.get("note") or alarm["text"]


@alarms.command("show", epilog="Example: minka alarms show a-1f2e3d4c5b")
def show_alarm(
    alarm: Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.")], as_json: Json = False
) -> None:
    """Show an alarm: its object, times, repair, what the repair waits for, and how many alarms follow from it."""
    found = client().get(f"/v1/alarms/{alarm}")
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if name == "waits_for":
            for wait in value:
                out.print(styled(f"{'waits':<18}", "yellow"), wait_words(wait))
        elif value not in ("", None, [], False):  # nor zero
            known = when(value) if name in _TIMES else coloured(value) if name == "state" else value
            known = ", ".join(value) if isinstance(value, list) else known
            out.print(styled(f"{name.replace('_', ' '):<18}", "bold"), known)
    for said in client().all(f"/v1/alarms/{alarm}/comments"):
        print_comment(said)


@alarms.command("reports", epilog="Example: minka alarms reports a-1f2e3d4c5b")
def reports(
    alarm: Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.", autocompletion=completion.alarms)],
    as_json: Json = False,
) -> None:
    """What sources really reported of an alarm, and how often; with --json also the bodies as they came."""
    found = client().all(f"/v1/alarms/{alarm}/reports")
    if as_json:
        print_json(found)
        return
    columns = (
        Column("received"),
        Column("source"),
        Column("severity"),
        Column("times"),
        Column("source time", 2),
        Column("text", 1, prose=True),
    )
    times = (when(one["source_time"] or one["at"]) + (" (wrong clock)" if one["skewed"] else "") for one in found)
    rows = zip(found, times, strict=True)
    names = ("source", "severity", "count")
    table(columns, ((when(one["received"]), *(one[name] for name in names), at, one["text"]) for one, at in rows))


@alarms.command("dispatch", epilog="Example: minka alarms dispatch a-1f2e3d4c5b > ticket.txt")
def dispatch(
    alarm: Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.", autocompletion=completion.alarms)],
    as_json: Json = False,
) -> None:
    """What a person has to know who goes there: place, unit, likely part, what was tried, holds to put before."""
    print_dispatch(client().get(f"/v1/alarms/{alarm}/dispatch"), as_json=as_json)


def print_dispatch(pack: dict[str, Any], *, as_json: bool) -> None:
    """Print a dispatch pack as text or JSON."""
    from controller.models.dispatch import DispatchPack  # noqa: PLC0415 - only for this

    if as_json:
        print_json(pack)
        return
    for line in DispatchPack.model_validate(pack).lines:
        out.print(line)


def print_comment(said: dict[str, Any]) -> None:
    """Print who said what, when, and to whom."""
    whom = f" to {', '.join(said['to'])}" if said["to"] else ""
    side = "" if said["by"] == said["side"] else f" ({said['side']})"
    out.print(styled(when(said["at"]), "bold"), f"{said['by']}{side}{whom}:", said["text"])


@alarms.command("comment", epilog="Example: minka alarms comment a-1f2e3d4c5b 'a climber goes there at 9' --to bitel")
def comment(
    alarm: Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.", autocompletion=completion.alarms)],
    text: CommentText,
    to: Readers = None,
    as_json: Json = False,
) -> None:
    """Say something of an alarm; minka alarms show has it."""
    said = client().post(f"/v1/alarms/{alarm}/comments", {"text": text, "to": to or []})
    if as_json:
        print_json(said)
    else:
        print_comment(said)


@alarms.command("shelve", epilog="Example: minka alarms shelve a-1f2e3d4c5b --for 8h --reason 'parts ordered'")
def shelve(
    alarm: Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.", autocompletion=completion.alarms)],
    reason: Annotated[str, typer.Option(help="Why; kept on record.")],
    until: Annotated[datetime | None, typer.Option(help="End, local time, as in 2026-12-26T06:00.")] = None,
    lasts: Annotated[str, typer.Option("--for", help="How long instead, as in 45m, 8h or 2d; 7 days at most.")] = "",
    as_json: Json = False,
) -> None:
    """Let nobody be called for an alarm, and nothing repair it, until a time; it is back sooner if it becomes worse."""
    if (until is None) == (not lasts):
        raise typer.BadParameter("say --until or --for")
    from controller.ports.clock import SystemClock  # noqa: PLC0415

    end = until.astimezone() if until else SystemClock().now() + duration(lasts)
    found = client().post(f"/v1/alarms/{alarm}/shelve", {"until": end.isoformat(), "reason": reason})
    print_result(found, f"{alarm} is shelved until {when(found['shelved_until'])}", as_json=as_json)


def duration(words: str, option: str = "--for") -> timedelta:
    """How long words such as 45m, 8h or 2d mean; those of an option."""
    number, unit = words[:-1], {"m": "minutes", "h": "hours", "d": "days"}.get(words[-1:])
    if unit is None or not number.isdecimal():
        raise typer.BadParameter(f"{option} {words}: say minutes, hours or days, as in 45m, 8h or 2d")
    return timedelta(**{unit: int(number)})


@alarms.command("clear", epilog="Example: minka alarms clear a-1f2e3d4c5b --reason 'the unit was taken down'")
def clear(
    alarm: Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.", autocompletion=completion.alarms)],
    reason: Annotated[str, typer.Option(help="Why it is over; kept on record.")],
    as_json: Json = False,
) -> None:
    """Say that an alarm is over whose source can't: a notified warning, a lost source, a device that nobody reads."""
    found = client().post(f"/v1/alarms/{alarm}/clear", {"reason": reason})
    print_result(found, f"{alarm} is over; it is back if {found['source']} reports it again", as_json=as_json)


@alarms.command("unshelve", epilog="Example: minka alarms unshelve a-1f2e3d4c5b --reason 'the part is here'")
def unshelve(
    alarm: Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.", autocompletion=completion.alarms)],
    reason: Annotated[str, typer.Option(help="Why; kept on record.")] = "",
    as_json: Json = False,
) -> None:
    """Bring a shelved alarm back now."""
    found = client().post(f"/v1/alarms/{alarm}/unshelve", {"reason": reason})
    print_result(found, f"{alarm} is back", as_json=as_json)


@alarms.command("acknowledge", epilog="Example: minka alarms acknowledge a-1f2e3d4c5b")
def acknowledge(
    alarm: Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.")], as_json: Json = False
) -> None:
    """Put on record that people know of an alarm, and say so to its station, if its AlarmList has it."""
    found = client().post(f"/v1/alarms/{alarm}/acknowledge")
    if as_json:
        print_json(found)
        return
    known = found["alarm"]
    out.print(f"{alarm} was acknowledged by {known['acknowledged_by']} {when(known['acknowledged'])}")
    if found["run"]:
        out.print(f"its station gets it by run {found['run']}")


@alarms.command("follow", epilog="Example: minka alarms follow --json | jq .station")
def follow(as_json: Json = False) -> None:
    """Follow alarms as they change, until interrupted."""
    for _, alarm in client().events("/v1/alarms/events"):
        if as_json:
            print_json(alarm, line=True)
        else:
            what = (alarm["severity"], alarm["station"], object_in_short(alarm), cause_of(alarm), alarm["text"])
            state = coloured(_state(alarm))
            out.print(when(alarm["changed"]), alarm["id"], state, *what, _note(alarm) if alarm.get("note") else "")
