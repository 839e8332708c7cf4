"""Who agrees to changes, and when they may begin: ``minka approvals``, ``approve``, ``freeze``, ``hold`` and more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.completion import RunId
from controller.cli.errors import WRONG_INPUT, CliError
from controller.cli.listed import Listed
from controller.cli.output import (
    Json,
    Limit,
    Reason,
    bold,
    client,
    counted,
    out,
    print_answer,
    print_result,
    styled,
    when,
)
from controller.cli.plan_view import off_air_words, outage_words, show_lines
from controller.cli.tables import Column, records
from controller.models.many import first_names

Target = Annotated[
    str,
    typer.Argument(help="Id of a run or plan, as in r-21748f9c95 or 42327bc0ca30.", autocompletion=completion.votes),
]
Contracts = Annotated[
    list[str] | None,
    typer.Option(
        "--contract",
        help="Clause that lets the host reduce service, AGREEMENT:CLAUSE as in bitel-sierra:7.3; repeatable.",
    ),
]
#: Most stations to name.
_NAMED = 8

freezes = typer.Typer(no_args_is_help=True, help="Freezes: times in which no change begins.")
holds = typer.Typer(no_args_is_help=True, help="Holds: a person's stop on a station, cell or site.")


def approvals(
    run_id: Annotated[
        str, typer.Argument(help="Id of a run, to see your side's part of its changes.", autocompletion=completion.runs)
    ] = "",
    as_json: Json = False,
) -> None:
    """List runs that wait for your side's approval, or show what one run asks of your side."""
    if run_id:
        print_answer(client().get(f"/v1/approvals/{run_id}"), _show_parts, as_json=as_json)
    else:
        print_answer(client().all("/v1/approvals"), _show_waiting, as_json=as_json)


def _show_waiting(found: Listed) -> None:
    for one in found:
        _show_request(one)
    if not found:
        out.print("nothing waits for your approval")


def _show_parts(one: dict[str, Any]) -> None:
    _show_request(one)
    for part in one["parts"]:
        if words := outage_words(part["outage"]):
            out.print(f"  {part['station']}: out of service {words}")
    lines = [(part["station"], row) for part in one["parts"] for row in part["diff"]]
    if lines:  # a playbook without a plan has none, and its steps say what it does
        show_lines(lines)


def _show_request(one: dict[str, Any]) -> None:
    who = f" by {one['requested_by']}" if one["requested_by"] else ""
    out.print("run", bold(one["run"]), f"of {when(one['created'])}{who} {one['reason']}")
    _show_asked(one)
    show_requirements(one["requirements"], one["votes"])
    show_open_inputs(one.get("open_inputs", ()))


def _show_asked(one: dict[str, Any]) -> None:
    """Print what would be done, and where."""
    given = "".join(f" {name}={value}" for name, value in sorted(one["parameters"].items()) if value is not None)
    out.print(f"  {one['procedure']}{given} on {first_names(one['stations'], _NAMED)}")
    for step in one["steps"]:
        lasts, where = outage_words(step["outage"]), off_air_words(step["off_air"])
        needs = f" (consent: {step['consent']}{lasts and f', outage {lasts}'}{where})" if step["consent"] else ""
        out.print(f"  step {step['name']}: {step['action']}{needs}" if step["name"] else f"  {step['action']}{needs}")


def show_requirements(requirements: list[dict[str, Any]], votes: list[dict[str, Any]]) -> None:
    """Print who has to agree, and the votes."""
    for one in requirements:
        about = f" ({one['agreement']})" if one["agreement"] else ""
        about += f" (for {one['stands_for']}, which gave no standing consent)" if one["stands_for"] else ""
        lasts = outage_words(one["outage"])
        what = f"{one['action'] or 'four eyes'} on {counted(one['stations'], 'device')}{lasts and f', outage {lasts}'}"
        what += off_air_words(one["off_air"])
        if one["consent"] == "notice":
            wants = f"notified {one['lead_hours']} h before" if one["lead_hours"] else "notified"
        else:
            wants = f"approval by {one['needed']}" + (f" of {', '.join(one['approvers'])}" if one["approvers"] else "")
            wants += ", signed in at the identity provider" if one["sign_in"] else ""
            wants += f", or of host by clause {' or '.join(one['clauses'])}" if one["clauses"] else ""
        out.print(f"  {one['side']}{about}: {what}: {wants}")
    for vote in votes:
        said = styled("yes", "green") if vote["choice"] == "approve" else styled("no", "red")
        out.print(
            f"  {vote['person']} of {vote['side']}{_proof(vote)}:", said, *_by_contract(vote), *_with_reason(vote)
        )


def _proof(vote: dict[str, Any]) -> str:
    """The token of a vote where another person made it, and whether that person has lost the right to vote."""
    made = vote["maker"] and vote["maker"] != vote["person"]
    token = f", with token {vote['token']} made by {vote['maker']}" if made else ""
    return f"{token}, who may not vote any more" if vote["gone"] else token


def _with_reason(vote: dict[str, Any]) -> list[str]:
    return [f"(reason: {vote['reason']})"] if vote["reason"] else []


def _by_contract(vote: dict[str, Any]) -> list[str]:
    return [f"({one['agreement']}, clause {one['clause']})" for one in vote["contracts"]]


def show_open_inputs(found: Iterable[dict[str, Any]]) -> None:
    """Print which expressions ask tenants of all cells, and why."""
    for one in found:
        where = f"{one['file']}, step {one['step']!r}, {one['input']}: {one['expression']}"
        out.print(f"  all cells count on {counted(one['stations'], 'device')}: {where}", soft_wrap=True)
        out.print(f"    {one['why']}", soft_wrap=True)


def _show_unanswered(found: Sequence[str]) -> None:
    """Print approvals that nobody may give, and what to do about it."""
    for text in found:
        out.print(styled("nobody can answer", "yellow"), text)
    if found:
        out.print("  add an approver of the host:", bold("minka user add NAME --role approver"))
        out.print("  add an approver of a tenant:", bold("minka user add NAME --role tenant-approver --tenant TENANT"))


def show_outlook(
    outlook: dict[str, Any], *, before: bool = False, fails: str = "", within: Collection[str] = ()
) -> None:
    """Print what a run waits for; ``before`` it is requested, also say if nothing stands in its way.

    Args:
        outlook: What it waits for.
        before: Whether it is not requested yet.
        fails: The first step that would fail as it is, in words: what later steps ask for is not all known then.
        within: Tenants within its reach.
    """
    if before and fails and not outlook["requirements"]:
        then = f", tenants within its reach may have to: {', '.join(within)}" if within else ", this may change"
        out.print(f"who has to agree: nobody else by what is known; once {fails} fails no more{then}")
    elif before and not outlook["requirements"]:
        out.print("who has to agree: only the person who asks for it")
    if outlook["requirements"]:
        out.print("who has to agree:")
        show_requirements(outlook["requirements"], outlook["votes"])
    _show_unanswered(outlook.get("unanswered", ()))
    show_open_inputs(outlook.get("open_inputs", ()))
    if outlook["tenants"]:
        out.print(f"tenants notified: {', '.join(outlook['tenants'])}")
    for reason, count in outlook["waits"].items():
        out.print(styled("waits", "yellow"), f"on {counted(count, 'device')}: {reason}")
    between = outlook.get("between", {})
    for reason, count in between.items():
        out.print(styled("may wait", "yellow"), f"on {counted(count, 'device')}: {reason}")
    if before and not outlook["waits"]:
        then = "it could begin now" + (", and then may have to wait" if between else "")
        then = f"but as it is it would end at {fails}" if fails else then
        out.print(f"no window, freeze or hold is in the way{', ' if fails else ': '}{then}")
    if outlook["overridden"]:
        out.print(f"windows and freezes overridden {outlook['overridden']}")


def contractual(given: list[str] | None) -> list[dict[str, str]]:
    """Contractual reasons as the API takes them. Raises CliError for a malformed one."""
    found = []
    for text in given or ():
        agreement, colon, clause = text.partition(":")
        if not (agreement and colon and clause):
            raise CliError(f"--contract {text}: name agreement and clause, as in bitel-sierra:7.3", WRONG_INPUT)
        found.append({"agreement": agreement, "clause": clause})
    return found


def _say(target: str, choice: str, said: dict[str, Any], *, as_json: bool) -> None:
    kind = "runs" if target.startswith("r-") else "plans"
    vote = client().post(f"/v1/{kind}/{target}/{choice}", said)
    print_result(vote, f"{target}: {vote['choice']} by {vote['person']} of {vote['side']}", as_json=as_json)


def approve(
    target: Target,
    reason: Reason = "",
    contract: Contracts = None,
    as_json: Json = False,
) -> None:
    """Approve a run or plan for your side.

    A tenant knows each plan that concerns it by an id of its own: minka plans list shows all that it can see.
    """
    _say(target, "approve", {"reason": reason, "contracts": contractual(contract)}, as_json=as_json)
    if as_json:
        return
    for one in client().all("/v1/approvals"):
        if one["run"] == target:  # this yes may not be the last, or may need a contractual reason to count
            out.print(styled("still waits", "yellow"), "for approval:")
            show_requirements(one["requirements"], one["votes"])


def reject(
    target: Target,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Reject a run or plan for your side: its runs start nothing more and end as cancelled.

    A tenant knows a plan by an id of its own: minka plans list.
    """
    _say(target, "reject", {"reason": reason}, as_json=as_json)


def override(
    run_id: RunId,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Let a run work outside of windows and during freezes. Holds still bind.

    Tenants whose own windows or freezes that beats are told so with the reason: name no other tenant in it.
    """
    made = client().post(f"/v1/runs/{run_id}/override", {"reason": reason})
    print_result(made, f"run {run_id} no longer waits for windows and freezes", as_json=as_json)


def notices(limit: Limit = 50, as_json: Json = False) -> None:
    """List notices to tenants, of planned work and of incidents, newest first."""
    found = client().all("/v1/notices", limit)
    records(
        found,
        (
            Column("id"),
            Column("at", 2, tells=True),
            Column("tenant"),
            Column("kind"),
            Column("about"),
            Column("stations", 4),
            Column("begins", 3, tells=True),
            Column("note", 1, prose=True, tells=True),
        ),
        (
            (
                one["id"],
                when(one["at"]),
                one["tenant"],
                one["kind"],
                one["run"] or one["incident"],
                len(one["stations"]),
                when(one["begins"]),
                one["text"],
            )
            for one in found
        ),
        as_json=as_json,
    )


@freezes.command("put", epilog="Example: minka freeze put region:cusco --ends 2026-12-26T06:00 --reason Christmas")
def put(
    target: Annotated[str, typer.Argument(help="network, tenant:<id>, region:<id> or site:<id>.")],
    ends: Annotated[datetime, typer.Option(help="End, local time, as in 2026-12-26T06:00.")],
    reason: Reason,
    begins: Annotated[datetime | None, typer.Option(help="Beginning, local time. Default: now.")] = None,
    as_json: Json = False,
) -> None:
    """Put a freeze: no change begins on its stations until it ends."""
    body = {"target": target, "reason": reason, "ends": ends.astimezone().isoformat()}
    freeze = client().post("/v1/freezes", body | ({"begins": begins.astimezone().isoformat()} if begins else {}))
    print_result(freeze, f"freeze {freeze['id']} of {target} until {when(freeze['ends'])}", as_json=as_json)


@freezes.command("list", epilog="Example: minka freeze list --json")
def list_freezes(as_json: Json = False) -> None:
    """List freezes in force or to come."""
    columns = (
        Column("id"),
        Column("target"),
        Column("warning", 2, tells=True),
        Column("by", 2, tells=True),
        Column("reason", 1, prose=True, tells=True),
        Column("begins", 3, time=True, tells=True),
        Column("ends", time=True),
    )
    records(client().all("/v1/freezes"), columns, as_json=as_json)


@freezes.command(
    "warn", epilog="Example: minka freeze warn tsunami-17 region:lima --ends 2026-12-26T06:00 --text Tsunami"
)
def warn(
    warning: Annotated[str, typer.Argument(help="Id of the warning, as its source calls it.")],
    area: Annotated[list[str], typer.Argument(help="Places, each network, region:<id> or site:<id>.")],
    ends: Annotated[datetime, typer.Option(help="End, local time, as in 2026-12-26T06:00; at most 7 days ahead.")],
    text: Annotated[str, typer.Option(help="What it is about; kept on record.")],
    as_json: Json = False,
) -> None:
    """Announce a public warning: nothing in its area interrupts service until it ends."""
    body = {"area": area, "text": text, "ends": ends.astimezone().isoformat()}
    found = client().put(f"/v1/warnings/{warning}", body)["results"]
    print_result(
        found, f"public warning {warning} in {', '.join(area)} until {when(found[0]['ends'])}", as_json=as_json
    )


@freezes.command("all-clear", epilog="Example: minka freeze all-clear tsunami-17")
def all_clear(
    warning: Annotated[str, typer.Argument(help="Id of the warning, as its source calls it.")],
    as_json: Json = False,
) -> None:
    """End a public warning."""
    client().delete(f"/v1/warnings/{warning}")
    print_result({"ended": warning}, f"public warning {warning} ended", as_json=as_json)


@freezes.command("lift", epilog="Example: minka freeze lift f-1f2e3d4c")
def lift(
    freeze_id: Annotated[
        str, typer.Argument(help="Id of a freeze, as in f-1f2e3d4c.", autocompletion=completion.freezes)
    ],
    as_json: Json = False,
) -> None:
    """Lift a freeze."""
    client().delete(f"/v1/freezes/{freeze_id}")
    print_result({"lifted": freeze_id}, f"freeze {freeze_id} lifted", as_json=as_json)


@holds.command("put", epilog="Example: minka hold put PE-CUS-0145 --reason 'rigger on the mast'")
def put_hold(
    target: Annotated[
        str, typer.Argument(help="Station id, station/cell, or site:<id>.", autocompletion=completion.stations)
    ],
    reason: Reason,
    until: Annotated[
        datetime | None, typer.Option(help="End, local time, as in 2026-12-26T06:00. Default: until lifted.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a hold: nothing begins on the target, whoever asks for it, and plans leave the target out."""
    end = until.astimezone().isoformat() if until else None
    hold = client().post("/v1/holds", {"target": target, "reason": reason, "until": end})
    print_result(hold, f"hold {hold['id']} on {target}", as_json=as_json)


@holds.command("list", epilog="Example: minka hold list --json")
def list_holds(as_json: Json = False) -> None:
    """List holds in force."""
    columns = (
        Column("id"),
        Column("target"),
        Column("by", 1, tells=True),
        Column("reason", 2, prose=True, tells=True),
        Column("created", 4, time=True),
        Column("until", 3, time=True, tells=True),
    )
    records(client().all("/v1/holds"), columns, as_json=as_json)


@holds.command("lift", epilog="Example: minka hold lift h-1f2e3d4c")
def lift_hold(
    hold_id: Annotated[str, typer.Argument(help="Id of a hold, as in h-1f2e3d4c.", autocompletion=completion.holds)],
    as_json: Json = False,
) -> None:
    """Lift a hold."""
    client().delete(f"/v1/holds/{hold_id}")
    print_result({"lifted": hold_id}, f"hold {hold_id} lifted", as_json=as_json)
