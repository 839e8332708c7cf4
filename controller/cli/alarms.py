"""``minka alarms``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.answers import read
from controller.cli.follow import changes
from controller.cli.listed import Listed
from controller.cli.output import (
    Json,
    Limit,
    Reason,
    age,
    client,
    coloured,
    counted,
    out,
    print_answer,
    print_json,
    print_lines,
    print_result,
    styled,
    when,
)
from controller.cli.tables import Column, records, table
from controller.cli.waits import wait_words
from controller.models.enums import AlarmState

#: Probable cause of an alert with an unknown name (``controller.models.alarm``, which takes long to import).
_OTHER_ALERT = "other-alert"
_DISTINGUISHED_NAME = re.compile(r'\w+=[^,="\\]+(,\w+=[^,="\\]+)+')
#: Times of an alarm.
_TIMES = ("raised", "changed", "cleared", "until", "escalated", "released", "acknowledged", "shelved_until")

alarms = typer.Typer(no_args_is_help=True, help="Alarms: list, follow, acknowledge.")

AlarmId = Annotated[str, typer.Argument(help="Id of an alarm, as in a-1f2e3d4c5b.", autocompletion=completion.alarms)]
CommentText = Annotated[str, typer.Argument(help="Text of the comment.")]
Readers = Annotated[
    list[str] | None,
    typer.Option(
        help="A tenant that may read it; repeatable. Default: your own side only; the host reads all.",
        autocompletion=completion.tenants,
    ),
]


@alarms.command("list", epilog="Example: minka alarms list --severity critical --severity major")
def list_alarms(
    limit: Limit = 50,
    every: Annotated[bool, typer.Option("--all", help="Also alarms that are over.")] = False,
    symptoms: Annotated[bool, typer.Option("--symptoms", help="Show symptoms, each below its root.")] = False,
    state: Annotated[
        list[AlarmState] | None, typer.Option(help=f"Only alarms in this state ({', '.join(AlarmState)}); repeatable.")
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
        datetime | None, typer.Option(help="Only those that changed since this local time, as in 2026-12-26T06:00.")
    ] = None,
    roots: Annotated[bool, typer.Option("--roots", help="Only roots: alarms that follow from no other.")] = False,
    root: Annotated[str, typer.Option(help="Only symptoms of this alarm.")] = "",
    shelved: Annotated[
        bool | None, typer.Option("--shelved/--unshelved", help="Only shelved alarms, or only others.")
    ] = None,
    acknowledged: Annotated[
        bool | None,
        typer.Option("--acknowledged/--unacknowledged", help="Only acknowledged alarms, or only others."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List alarms that stand, the gravest first, then the newest; symptoms are counted with their root.

    Gravity is that of an alarm with all that follows from it. With --all, alarms that are over follow, newest first.

    State `raised` lists all alarms that stand, as X.733 has it, also those under repair and those that were escalated;
    `repairing` and `escalated` list these alone. States `cleared` and `repaired` list alarms that are over. An
    escalated alarm keeps its state when it is over, and is then listed only by `escalated` with --all.
    """
    asked: dict[str, Any] = {"state": state, "station": station, "tenant": tenant, "object": managed_object}
    asked |= {"cause": cause, "severity": [word.upper() for word in severity or ()]}
    asked |= {"since": since.astimezone().isoformat() if since else None, "roots": roots or None, "root": root or None}
    asked |= {"shelved": shelved, "acknowledged": acknowledged}
    whole = not any(one not in (None, []) for one in asked.values())  # no symptom is asked for by itself
    standing = {"standing": False if every else None if state else True}
    if as_json:
        print_json(client().all("/v1/alarms", limit, **asked, **standing))
        return
    if whole and not every:
        asked["roots"] = True  # so that no storm of symptoms fills the list
    found = client().all("/v1/alarms", limit, **asked, **standing)
    below = _symptoms_of(found, limit, **standing) if symptoms else {}
    folded = _show_list(found, below)
    if folded:
        out.print(f"{counted(folded, 'symptom')} below their roots: minka alarms list --symptoms")
    for of, ones in below.items():
        if ones.left_out:
            out.print(f"of {of}, {ones.left_out} (minka alarms list --root {of})")


def _symptoms_of(found: Iterable[Mapping[str, Any]], limit: int, **standing: Any) -> dict[str, Listed]:
    """Symptoms of the listed roots, by root."""
    roots = (one["id"] for one in found if one.get("symptoms"))
    return {root: client().all("/v1/alarms", limit, root=root, **standing) for root in roots}


def _show_list(found: Listed, below: Mapping[str, Sequence[Mapping[str, Any]]]) -> int:
    """Print alarms, symptoms below their roots or folded there; returns how many are folded."""
    listed = {one["id"] for one in found}
    under: dict[str, list[Mapping[str, Any]]] = {root: list(ones) for root, ones in below.items()}
    for one in found:
        if one.get("root") in listed and one["root"] not in below:
            under.setdefault(one["root"], []).append(one)
    rows = []
    folded = 0
    for one in (each for each in found if each.get("root", "") not in listed):
        rows.append(_row(one, "", max(one.get("symptoms", 0), len(under.get(one["id"], ())))))
        if one["id"] in below:
            rows += [_row(symptom, _SYMPTOM, symptom.get("symptoms", 0)) for symptom in below[one["id"]]]
        else:
            folded += rows[-1][_PLACE_OF_SYMPTOMS] or 0
    table(_COLUMNS, rows, of=found)
    return folded


#: Columns of a list of alarms; ``symptoms`` are those that stand, or that are folded there.
_COLUMNS = (
    Column("id"),
    Column("state"),
    Column("symptoms", 2, tells=True),
    Column("severity", 1, tells=True),
    Column("station"),
    Column("object", 3, tells=True),
    Column("cause"),
    Column("age", 1, tells=True),
    Column("tenants", 4, tells=True),
    Column("follows", 4, tells=True),
    Column("problem", 5, prose=True, tells=True),
    Column("run", 6),
    Column("note", 5, prose=True),
    Column("cells", 8),
    Column("count", 9),
    Column("raised", 10),
    Column("acknowledged", 11),
)
_PLACE_OF_SYMPTOMS = 2
#: Mark of a symptom that stands below its root.
_SYMPTOM = "└ "


def _row(a: Mapping[str, Any], mark: str, symptoms: int) -> list[Any]:
    """The row of an alarm; ``follows`` names a root that is not in the list."""
    return [
        mark + a["id"],
        coloured(_state(a)),
        symptoms or None,
        _severity(a),
        a["station"],
        object_in_short(a),
        cause_of(a),
        age(a["raised"]),
        ", ".join(a.get("tenants", ())) or a["tenant"],
        "" if mark else a.get("root", ""),
        "" if a["probable_cause"] == _OTHER_ALERT else a.get("specific_problem", ""),
        a.get("run", ""),
        _note(a),
        len(a["cells"]),
        a.get("count", ""),
        when(a["raised"]),
        f"{a['acknowledged_by']} {when(a['acknowledged'])}" if a.get("acknowledged") else "",
    ]


def _severity(alarm: Mapping[str, Any]) -> str:
    """The severity of an alarm, and by which it is listed where what follows from it is graver."""
    own, in_all = str(alarm["severity"]), alarm.get("gravest") or alarm["severity"]
    return own if in_all == own else f"{own}, in all {in_all}"


def cause_of(one: Mapping[str, Any]) -> str:
    """The probable cause of an alarm or incident; for an alert of unknown cause its name."""
    other = one["probable_cause"] == _OTHER_ALERT
    return str((other and one.get("specific_problem")) or one["probable_cause"])


def object_in_short(one: Mapping[str, Any]) -> str:
    """The object of an alarm or incident: the last part of its path or distinguished name."""
    name = str(one["object"]).rpartition("/")[2]
    return name.rpartition(",")[2] if _DISTINGUISHED_NAME.fullmatch(name) else name


def _state(alarm: Mapping[str, Any]) -> str:
    """The state of an alarm, or why people and rules leave it alone, or that it concerns the tenant no more."""
    if alarm.get("until"):
        return "left"
    if alarm.get("shelved") or alarm.get("announced"):
        return "shelved" if alarm.get("shelved") else "announced"
    return (
        f"{alarm['state']}, over"
        if alarm["state"] == AlarmState.ESCALATED and alarm.get("cleared")
        else str(alarm["state"])
    )


def _note(alarm: Mapping[str, Any]) -> str:
    """What became of an alarm, or what its repair waits for, since when, and who can end the wait; else its text."""
    if alarm.get("shelved"):
        return f"shelved by {alarm['shelved_by']} until {when(alarm['shelved_until'])}: {alarm['shelved_reason']}"
    if alarm.get("until"):
        return f"{alarm['state']} until {when(alarm['until'])}, when it ceased to concern you"
    if alarm.get("announced"):
        return f"announced work {alarm['announced']}"
    return "; ".join(map(wait_words, alarm.get("waits_for", ()))) or alarm.get("note") or alarm["text"]


@alarms.command("show", epilog="Example: minka alarms show a-1f2e3d4c5b")
def show_alarm(alarm: AlarmId, as_json: Json = False) -> None:
    """Show an alarm: its object, times, repair, what the repair waits for, and how many alarms follow from it."""
    print_answer(client().get(f"/v1/alarms/{alarm}"), _print_alarm, as_json=as_json)


def _print_alarm(found: dict[str, Any]) -> None:
    for name, value in found.items():
        if name == "waits_for":
            for wait in value:
                out.print(styled(f"{'waits':<18}", "yellow"), wait_words(wait))
        elif value not in ("", None, [], False):  # nor zero
            known = when(value) if name in _TIMES else coloured(value) if name == "state" else value
            known = ", ".join(value) if isinstance(value, list) else known
            out.print(styled(f"{name.replace('_', ' '):<18}", "bold"), known)
    for said in client().all(f"/v1/alarms/{found['id']}/comments"):
        print_comment(said)


@alarms.command("reports", epilog="Example: minka alarms reports a-1f2e3d4c5b")
def reports(
    alarm: AlarmId,
    as_json: Json = False,
) -> None:
    """Show the reports that sources sent of an alarm, and how often; with --json also their bodies as received."""
    found = client().all(f"/v1/alarms/{alarm}/reports")
    columns = (
        Column("received"),
        Column("source"),
        Column("severity"),
        Column("times"),
        Column("source time", 2, tells=True),
        Column("text", 1, prose=True, tells=True),
    )
    times = (when(one["source_time"] or one["at"]) + (" (wrong clock)" if one["skewed"] else "") for one in found)
    rows = zip(found, times, strict=True)
    names = ("source", "severity", "count")
    records(
        found,
        columns,
        ((when(one["received"]), *(one[name] for name in names), at, one["text"]) for one, at in rows),
        as_json=as_json,
    )


@alarms.command("dispatch", epilog="Example: minka alarms dispatch a-1f2e3d4c5b > ticket.txt")
def dispatch(
    alarm: AlarmId,
    as_json: Json = False,
) -> None:
    """Print what a person sent there has to know: place, unit, likely part, what was tried, and holds to put first."""
    print_dispatch(client().get(f"/v1/alarms/{alarm}/dispatch"), as_json=as_json)


def print_dispatch(pack: dict[str, Any], *, as_json: bool) -> None:
    """Print a dispatch pack as text or JSON."""
    print_answer(pack, _print_pack, as_json=as_json)


def _print_pack(pack: dict[str, Any]) -> None:
    from controller.models.dispatch import DispatchPack  # noqa: PLC0415 - only for this

    for line in read(DispatchPack, pack).lines:
        out.print(line)


def print_comment(said: dict[str, Any]) -> None:
    """Print comments: author, time, text, and readers."""
    whom = f" to {', '.join(said['to'])}" if said["to"] else ""
    side = "" if said["by"] == said["side"] else f" ({said['side']})"
    out.print(styled(when(said["at"]), "bold"), f"{said['by']}{side}{whom}:", said["text"])


@alarms.command("comment", epilog="Example: minka alarms comment a-1f2e3d4c5b 'a climber goes there at 9' --to bitel")
def comment(
    alarm: AlarmId,
    text: CommentText,
    to: Readers = None,
    as_json: Json = False,
) -> None:
    """Comment on an alarm; minka alarms show prints the comments."""
    said = client().post(f"/v1/alarms/{alarm}/comments", {"text": text, "to": to or []})
    print_answer(said, print_comment, as_json=as_json)


@alarms.command("shelve", epilog="Example: minka alarms shelve a-1f2e3d4c5b --for 8h --reason 'parts ordered'")
def shelve(
    alarm: AlarmId,
    reason: Reason,
    until: Annotated[datetime | None, typer.Option(help="End, local time, as in 2026-12-26T06:00.")] = None,
    lasts: Annotated[str, typer.Option("--for", help="How long instead, as in 45m, 8h or 2d; 7 days at most.")] = "",
    as_json: Json = False,
) -> None:
    """Shelve an alarm until a time: nobody is called, no rule repairs it. It comes back sooner if it becomes worse."""
    if (until is None) == (not lasts):
        raise typer.BadParameter("say --until or --for")
    from controller.ports.clock import SystemClock  # noqa: PLC0415

    end = until.astimezone() if until else SystemClock().now() + duration(lasts)
    found = client().post(f"/v1/alarms/{alarm}/shelve", {"until": end.isoformat(), "reason": reason})
    print_result(found, f"{alarm} is shelved until {when(found['shelved_until'])}", as_json=as_json)


def duration(words: str, option: str = "--for") -> timedelta:
    """The duration that an option gives as 45m, 8h or 2d."""
    number, unit = words[:-1], {"m": "minutes", "h": "hours", "d": "days"}.get(words[-1:])
    if unit is None or not number.isdecimal():
        raise typer.BadParameter(f"{option} {words}: say minutes, hours or days, as in 45m, 8h or 2d")
    return timedelta(**{unit: int(number)})


@alarms.command("clear", epilog="Example: minka alarms clear a-1f2e3d4c5b --reason 'the unit was taken down'")
def clear(
    alarm: AlarmId,
    reason: Annotated[str, typer.Option(help="Why it is over; kept on record.")],
    as_json: Json = False,
) -> None:
    """Clear an alarm that its source can't clear: a notified warning, a lost source, an unreadable device."""
    found = client().post(f"/v1/alarms/{alarm}/clear", {"reason": reason})
    print_result(found, f"{alarm} is cleared; it comes back if {found['source']} reports it again", as_json=as_json)


@alarms.command("unshelve", epilog="Example: minka alarms unshelve a-1f2e3d4c5b --reason 'the part is here'")
def unshelve(
    alarm: AlarmId,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Bring a shelved alarm back now."""
    found = client().post(f"/v1/alarms/{alarm}/unshelve", {"reason": reason})
    print_result(found, f"{alarm} is back", as_json=as_json)


@alarms.command("acknowledge", epilog="Example: minka alarms acknowledge a-1f2e3d4c5b")
def acknowledge(alarm: AlarmId, as_json: Json = False) -> None:
    """Acknowledge an alarm on record, and at its station if the station's AlarmList has it."""
    found = client().post(f"/v1/alarms/{alarm}/acknowledge")
    known = found["alarm"]
    lines = [f"{alarm} was acknowledged by {known['acknowledged_by']} {when(known['acknowledged'])}"]
    lines += [f"run {found['run']} acknowledges it at its station"] if found["run"] else []
    print_lines(found, lines, as_json=as_json)


@alarms.command("follow", epilog="Example: minka alarms follow --json | jq .station")
def follow(as_json: Json = False) -> None:
    """Follow alarms as they change, until interrupted."""
    for alarm in changes("/v1/alarms/events"):
        print_answer(alarm, _print_change, as_json=as_json, line=True)


def _print_change(alarm: dict[str, Any]) -> None:
    what = (alarm["severity"], alarm["station"], object_in_short(alarm), cause_of(alarm), alarm["text"])
    state = coloured(_state(alarm))
    out.print(when(alarm["changed"]), alarm["id"], state, *what, _note(alarm) if alarm.get("note") else "")
