"""``minka rules``, ``minka remediation``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.definitions import warn_of_files
from controller.cli.errors import WRONG_INPUT, CliError
from controller.cli.listed import Listed
from controller.cli.network import network_folder, text_of
from controller.cli.output import (
    Json,
    Limit,
    Reason,
    client,
    coloured,
    counted,
    err,
    out,
    print_answer,
    print_json,
    print_result,
    styled,
    when,
)
from controller.cli.processes import need_simulators
from controller.cli.progress import working
from controller.cli.settings import settings as environment
from controller.cli.tables import Column, records, table
from controller.models.enums import ProposalState, RuleMode
from controller.models.errors import InputError

Name = Annotated[str, typer.Argument(help="Name of a rule, as in core-link-down.")]
ProposalId = Annotated[str, typer.Argument(help="Id of a proposal, as in p-1f2e3d4c5b.")]
Region = Annotated[str | None, typer.Option(help="Only for devices of this region.")]
Tenant = Annotated[str | None, typer.Option(help="Only for alarms that concern this tenant and no other.")]

rules = typer.Typer(
    no_args_is_help=True,
    help="Rules of automatic repair: which alarms they answer, what they may do, and what they did.",
)
remediation = typer.Typer(no_args_is_help=True, help="Automatic repair: its switch, and the proposals of rules.")


@rules.command("list", epilog="Example: minka rules list --json")
def list_rules(as_json: Json = False) -> None:
    """List rules with their modes and records."""
    print_answer(client().all("/v1/rules"), _print_list, as_json=as_json)


def _print_list(found: Listed) -> None:
    columns = (
        Column("rule"),
        Column("mode"),
        Column("answers", 2, prose=True, tells=True),
        Column("ladder", 1, prose=True, tells=True),
        Column("observed", 4),
        Column("repaired", 3, tells=True),
        Column("at least", 5),
    )
    table(columns, (_row(one) for one in found))
    if any(one["mode"] != "auto" for one in found):
        out.print(
            "a rule acts by itself (auto) once a person lets it: minka rules promote RULE --mode auto --reason WHY"
        )
    _warn(warning for one in found for warning in one["warnings"])
    warn_of_files(client().get("/v1/definitions"), "rules/")


def _warn(warnings: Iterable[str]) -> None:
    """Print warnings about names in rules that don't exist."""
    for warning in warnings:
        err.print(styled(warning, "yellow"))


def _row(rule: dict[str, Any]) -> tuple[Any, ...]:
    record = rule["record"]
    return (
        rule["name"],
        _mode(rule),
        ", ".join(rule["content"]["match"]["causes"]),
        ", ".join(map(_rung, rule["content"]["ladder"])),
        record["observed"],
        f"{record['successes']} of {record['successes'] + record['failures']}",
        f"{record['lower_bound']:.0%}",
    )


def _mode(rule: dict[str, Any]) -> str:
    scopes = (f"{mode} for {scope.replace(':', ' ')}" for scope, mode in rule["scopes"].items())
    return ", ".join((rule["mode"], *scopes)) + (" (it changed since it was promoted)" if rule["changed"] else "")


def _rung(rung: dict[str, Any]) -> str:
    return str(rung["playbook"] or next(kind for kind in ("ask", "ticket", "page") if rung[kind]))


@rules.command("show", epilog="Example: minka rules show core-link-down")
def show_rule(name: Name, as_json: Json = False) -> None:
    """Show a rule: what it answers and how, who set its mode, and its record."""
    print_answer(client().get(f"/v1/rules/{name}"), _print, as_json=as_json)


def _print(rule: dict[str, Any]) -> None:
    content, record = rule["content"], rule["record"]
    out.print(styled(rule["name"], "bold"), rule["description"])
    match = {name: value for name, value in content["match"].items() if value}
    for name, value in match.items():
        out.print(f"  {name:<10}", ", ".join(map(str, value)) if isinstance(value, list) else "yes")
    for number, rung in enumerate(content["ladder"], 1):
        given = ", ".join(f"{name}={value}" for name, value in rung["parameters"].items())
        out.print(f"  rung {number:<5}", _rung(rung), given or rung["ask"] or rung["ticket"] or rung["page"])
    for name in ("guards", "verify", "trust"):
        words = (
            f"{field.replace('_', ' ')} {_value(value)}" for field, value in content[name].items() if value is not None
        )
        out.print(f"  {name:<10}", ", ".join(words))
    out.print(f"  {'mode':<10}", _mode(rule))
    for grant in rule["grants"]:
        scope = grant["scope"].replace(":", " ") or "everywhere"
        out.print(f"    {grant['mode']} {scope}: {when(grant['at'])} by {grant['by']}: {grant['reason']}")
    out.print(
        f"  {'record':<10}",
        f"observed {counted(record['observed'], 'alarm')}, of which a guard refused {record['refused']} and"
        f" {record['healed']} cleared without it;",
        f"{record['successes']} of {counted(record['successes'] + record['failures'], 'repair')} verified since it was"
        f" promoted: {record['lower_bound']:.0%} at least, with 95 % confidence",
    )
    _warn(rule["warnings"])


def _value(value: float | bool) -> str:
    """A value in words."""
    return f"{value:g}" if not isinstance(value, bool) else "yes" if value else "no"


def _files_of(folder: Path) -> list[Path]:
    """The rule files of a folder.

    Raises:
        CliError: The folder has none.
    """
    if not (found := sorted(folder.glob("*.yaml"))):
        raise CliError(f"there is no rule in {folder}: rules are files NAME.yaml directly in the folder", WRONG_INPUT)
    return found


@rules.command("check", epilog="Example: minka rules check my-rules --network peru")
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of rules; by default MINKA_RULES.", exists=True, file_okay=False)
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(
            parser=network_folder,
            metavar="DIRECTORY",
            help="Network files, or name of a sample network, that should have all names in the rules.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check rule files, without a server; all problems at once, each with file and line."""
    from controller.inventory.load import load_network  # noqa: PLC0415
    from controller.playbook.actions.shipped import registry  # noqa: PLC0415 - loads all actions
    from controller.playbook.language.library import Library  # noqa: PLC0415
    from controller.remediation.rules import Names, read_rules  # noqa: PLC0415

    settings = environment()
    if folder is not None:
        _files_of(folder)
    library = Library.in_folder(settings.playbooks, registry())
    wrong: list[str] = []
    there, found = None, tuple[Any, ...]()
    with working("checking rules" if network is None else "checking rules and network files", shown=not as_json):
        try:
            there = None if network is None else load_network(network)
        except InputError as error:
            wrong += [error.message]
        try:
            found = read_rules(folder or settings.rules, library, Names(there, settings.alert_causes.split()))
        except InputError as error:
            wrong = [error.message, *wrong]
    if wrong:
        raise InputError("\n".join(wrong))
    print_result(
        [rule.model_dump(mode="json") for rule, _ in found],
        f"{counted(len(found), 'rule')}, no problem",
        as_json=as_json,
    )


_LocalTime = "local time, as in 2026-12-26T06:00"


@rules.command("backtest", epilog="Example: minka rules backtest playbooks/rules --since 2026-12-24T00:00")
def backtest(
    folder: Annotated[Path, typer.Argument(help="Folder of rules.", exists=True, file_okay=False)],
    since: Annotated[datetime | None, typer.Option(help=f"Reports from then on, {_LocalTime}; else a day.")] = None,
    until: Annotated[datetime | None, typer.Option(help=f"Reports before that, {_LocalTime}; else all.")] = None,
    as_json: Json = False,
) -> None:
    """Show what the rules of a folder would have done about recorded reports of alarms. Touches no device."""
    files = {path.name: text_of(path) for path in _files_of(folder)}
    times = {name: at.astimezone().isoformat() for name, at in (("since", since), ("until", until)) if at is not None}
    with working("judging what was reported", shown=not as_json):
        found = client().post("/v1/rules/backtest", {"files": files, **times})
    print_answer(found, _print_backtest, as_json=as_json)


def _print_backtest(found: dict[str, Any]) -> None:
    _warn(found["warnings"])
    out.print(f"{counted(found['reports'], 'report')} from {when(found['since'])} to {when(found['until'])}")
    more = (
        Column("saved ≤", 1, tells=True),
        Column("interrupted ≤", 2, tells=True),
        Column("really", 5),
        Column("runs", 3, prose=True),
        Column("refused by", 4, prose=True),
    )
    columns = (Column("rule"), *map(Column, _VERDICTS), *more)
    table(columns, map(_tried, found["rules"]))
    shown = [one for one in found["alarms"] if one["verdict"] in ("acted", "asked", "people")]
    if shown:
        table(
            (
                Column("alarm"),
                Column("rule"),
                Column("station", 3, tells=True),
                Column("object", 4, prose=True, tells=True),
                Column("would have", prose=True),
                Column("then", 6, prose=True, tells=True),
                Column("at", 1, tells=True),
                Column("over", 2, tells=True),
                Column("really", 5),
            ),
            map(_case, shown),
        )


#: Results of alarms in a backtest.
_VERDICTS = ("acted", "asked", "people", "healed", "kept")


def _tried(rule: dict[str, Any]) -> tuple[Any, ...]:
    refused = ", ".join(f"{guard} {number}" for guard, number in sorted(rule["refusals"].items()))
    really = f"{rule['both']} too ({rule['cured']} cured), {rule['only_really']} more"
    runs = ", ".join(f"{playbook} {number}" for playbook, number in sorted(rule["runs"].items()))
    most = f"{rule['stood']:,.0f} min", counted(rule["served"], "cell")
    return (rule["rule"], *(rule["verdicts"].get(name, 0) for name in _VERDICTS), *most, really, runs, refused)


def _case(one: dict[str, Any]) -> tuple[Any, ...]:
    what, *then = (_taken(rung) for rung in (one, *one["later"]))
    really = f"{one['really']} {one['run']}".strip()
    where = one["station"], one["object"]
    return (one["alarm"], one["rule"], *where, what, ", ".join(then), when(one["at"]), when(one["cleared"]), really)


def _taken(rung: dict[str, Any]) -> str:
    return f"{rung['verdict']} ({rung['playbook']})" if rung["playbook"] else str(rung["verdict"])


@rules.command("rehearse", epilog="Example: minka rules rehearse --network peru-mini --seed 1 --hours 1")
def rehearse(
    network: Annotated[
        Path,
        typer.Option(parser=network_folder, metavar="DIRECTORY", help="Network files, or name of a sample network."),
    ] = Path("peru-mini"),
    seed: Annotated[list[str] | None, typer.Option(help="Seed of a day; may be repeated. Default: 1.")] = None,
    hours: Annotated[float, typer.Option(min=0.1, max=24, help="Length of the day.")] = 24.0,
    times: Annotated[float, typer.Option(min=0, help="Multiplies the rate of faults.")] = 1.0,
    folder: Annotated[
        Path | None,
        typer.Option("--rules", help="Folder of rules; by default MINKA_RULES.", exists=True, file_okay=False),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Play each fault once for each kind of station, instead of a day.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Play days of faults on simulated stations: without repair, with two scripts, with Minka and all its rules.

    Everything runs in virtual time in this process; it needs no server and touches no device.
    """
    need_simulators()
    if folder is not None:
        _files_of(folder)
    import logging  # noqa: PLC0415

    import structlog  # noqa: PLC0415 - takes long to load

    from controller.rehearsal import report  # noqa: PLC0415 - needs the simulators

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings = environment()
    with working("reading the network", shown=not as_json):
        ground = report.prepare(network, settings.model_copy(update={"rules": folder or settings.rules}))
    found = []
    for one in seed or ["1"]:
        with working(f"playing faults of seed {one}", shown=not as_json):
            done = report.rehearse_sweep(ground, one, hours) if sweep else report.rehearse(ground, one, hours, times)
        found.append(done)
        for line in () if as_json else report.lines_of(done):
            out.print(line, markup=False, highlight=False)
    for line in report.lines_of_all(found) if len(found) > 1 and not as_json else ():
        out.print(line, markup=False, highlight=False)
    if as_json:
        print_json([done.to_json() for done in found])


@rules.command("promote", epilog="Example: minka rules promote core-link-down --mode auto --reason CHG-7")
def promote(
    name: Name,
    mode: Annotated[RuleMode, typer.Option(help="What the rule may do: ask a person first, or act.")],
    reason: Reason,
    region: Region = None,
    tenant: Tenant = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Promote a rule, so that it may ask or act. Its record is shown first, and kept with the decision."""
    api = client()
    rule = api.get(f"/v1/rules/{name}")
    if not as_json:
        _print(rule)
        if not yes and out.is_terminal:
            typer.confirm(f"let {name} {mode.value}?", abort=True)
    _set(name, mode, reason, region, tenant, seen=rule["digest"], as_json=as_json)


@rules.command("demote", epilog="Example: minka rules demote core-link-down --reason 'it makes things worse'")
def demote(
    name: Name,
    reason: Reason,
    mode: Annotated[RuleMode, typer.Option(help="What the rule may still do.")] = RuleMode.OBSERVE,
    region: Region = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Demote a rule, so that it only observes, or only asks. Repairs under way finish.

    A rule demoted to observe everywhere loses its promotions for regions and tenants, too.
    """
    rule = client().get(f"/v1/rules/{name}")
    scope = f"region:{region}" if region else f"tenant:{tenant}" if tenant else ""
    has = RuleMode(rule["scopes"].get(scope, rule["mode"]))
    order = tuple(RuleMode)
    if mode is not RuleMode.OBSERVE and order.index(mode) >= order.index(has):
        raise CliError(f"{name} is in mode {has} there: `minka rules promote` lets a rule do more", WRONG_INPUT)
    _set(name, mode, reason, region, tenant, seen=rule["digest"], as_json=as_json)


def _set(
    name: str, mode: RuleMode, reason: str, region: str | None, tenant: str | None, *, seen: str, as_json: bool
) -> None:
    """Set the mode of a rule with the digest that was seen; if it was changed meanwhile, nothing is set."""
    asked = {"mode": mode.value, "reason": reason, "region": region, "tenant": tenant, "digest": seen}
    found = client().put(f"/v1/rules/{name}/mode", asked)
    print_result(found, f"{name}: {_mode(found)}", as_json=as_json)


# ----------------------------------------------------------------- remediation


@remediation.command("status", epilog="Example: minka remediation status")
def status(as_json: Json = False) -> None:
    """Show whether automatic repair is on, or since when it is stopped, by whom and why."""
    print_answer(client().get("/v1/remediation"), _print_switch, as_json=as_json)


@remediation.command("stop", epilog="Example: minka remediation stop --reason INC-77")
def stop(reason: Reason = "", as_json: Json = False) -> None:
    """Stop all automatic repair; repairs under way finish."""
    print_answer(client().put("/v1/remediation", {"stopped": True, "reason": reason}), _print_switch, as_json=as_json)


@remediation.command("resume", epilog="Example: minka remediation resume --reason 'the backhaul is back'")
def resume(reason: Reason = "", as_json: Json = False) -> None:
    """Resume automatic repair, also after the breaker stopped it."""
    print_answer(client().put("/v1/remediation", {"stopped": False, "reason": reason}), _print_switch, as_json=as_json)


def _print_switch(said: dict[str, Any]) -> None:
    out.print("automatic repair is", styled("stopped", "red") if said["stopped"] else styled("on", "green"))
    if said["since"]:
        out.print(f"since {when(said['since'])}, by {said['by']}{said['reason'] and ': '}{said['reason']}")
    out.print(f"it stops itself with more than {said['limit']} repairs within {said['minutes']:g} min")
    out.print(f"{counted(said['rules'], 'rule')} in force")
    for problem in said["left_out"].values():
        err.print(styled(f"left out: {problem}", "red"))


@remediation.command("list", epilog="Example: minka remediation list --state asked")
def proposals(
    state: Annotated[list[ProposalState] | None, typer.Option(help="Only those in this state; repeatable.")] = None,
    rule: Annotated[str, typer.Option(help="Only those of this rule.")] = "",
    alarm: Annotated[str, typer.Option(help="Only those for this alarm.")] = "",
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List what rules proposed for alarms, and what became of it, newest first."""
    found = client().all("/v1/remediation/proposals", limit, state=state, rule=rule or None, alarm=alarm or None)
    columns = (
        Column("id"),
        Column("state"),
        Column("rule"),
        Column("alarm"),
        Column("station"),
        Column("playbook", 1, tells=True),
        Column("run", 5),
        Column("at", 2, tells=True),
        Column("by", 6),
        Column("why", 3, prose=True, tells=True),
    )
    records(
        found,
        columns,
        (
            (
                one["id"],
                coloured(one["state"]),
                one["rule"],
                one["alarm"],
                one["station"],
                one["playbook"],
                one["run"],
                when(one["at"]),
                one["by"],
                one["reason"] or one["obstacle"],
            )
            for one in found
        ),
        as_json=as_json,
    )


@remediation.command("approve", epilog="Example: minka remediation approve p-1f2e3d4c5b --reason INC-77")
def approve(proposal: ProposalId, reason: Reason = "", as_json: Json = False) -> None:
    """Approve what a rule proposes. The approval holds for half an hour, as long as the alarm does not change."""
    _answer(proposal, "approve", reason, as_json=as_json)


@remediation.command("deny", epilog="Example: minka remediation deny p-1f2e3d4c5b --reason 'a crew is there'")
def deny(proposal: ProposalId, reason: Reason = "", as_json: Json = False) -> None:
    """Deny what a rule proposes; the alarm is escalated."""
    _answer(proposal, "deny", reason, as_json=as_json)


def _answer(proposal: str, what: str, reason: str, *, as_json: bool) -> None:
    found = client().post(f"/v1/remediation/proposals/{proposal}/{what}", {"reason": reason})
    print_result(found, f"{proposal} is {found['state']} by {found['by']}", as_json=as_json)
