"""``minka network``: check, load, show, import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.completion import Selector
from controller.cli.errors import WRONG_INPUT, CliError
from controller.cli.groups import finding_lines, problem_lines, source_of
from controller.cli.listed import Listed
from controller.cli.output import (
    Json,
    client,
    counted,
    difference_lines,
    err,
    out,
    print_answer,
    print_json,
    print_lines,
    styled,
    with_warnings,
)
from controller.cli.progress import working
from controller.cli.tables import Column, records, table
from controller.inventory.source import content_of
from controller.models.errors import NetworkFilesError
from controller.models.many import first_names
from controller.models.shipped import shipped

if TYPE_CHECKING:
    from controller.models.facts import Finding
    from controller.models.network import Network

#: Most devices to name.
_MOST = 10
#: Columns of objects of one kind that are shown on a narrow terminal too: the first ones tell them apart.
_TELLING = 4

app = typer.Typer(no_args_is_help=True, help="Network files: what is shared, by whom, and under which agreement.")


def network_folder(text: str) -> Path:
    """A directory of network files, or a sample network by its name."""
    samples = ", ".join(sorted(path.name for path in shipped("deploy/networks").iterdir() if path.is_dir()))
    found = next((path for path in (Path(text), shipped("deploy/networks") / text) if path.is_dir()), None)
    if found is None:
        raise typer.BadParameter(f"there is no directory {text!r}, and no sample network of this name: {samples}")
    if not any(_paths(found)):
        raise typer.BadParameter(f"directory {text!r} has no network files (.yaml, .csv); sample networks: {samples}")
    return found


Directory = Annotated[
    Path,
    typer.Argument(
        parser=network_folder, metavar="DIRECTORY", help="Directory of network files, or name of a sample network."
    ),
]
Endpoints = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="endpoints.csv that replaces the directory's.")
]

Routers = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="routers.csv that replaces the directory's.")
]
Pools = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="CSV of id, address and port of pools that answer elsewhere."),
]
AddedFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--add",
        exists=True,
        dir_okay=False,
        help="Further network file, such as one with pools and functions for the directory; may be repeated.",
    ),
]


@app.command(epilog="Example: minka network check deploy/networks/peru-mini")
def check(
    directory: Directory,
    endpoints: Endpoints = None,
    routers: Routers = None,
    pools: Pools = None,
    added: AddedFiles = None,
    as_json: Json = False,
) -> None:
    """Check network files and contracts. Needs no controller, and changes nothing."""
    from controller.cli.checks import check_files  # noqa: PLC0415 - loads the pure core only when asked

    try:
        with working("checking files and contracts", shown=not as_json):
            network, findings, where = check_files(directory, endpoints, routers, pools, added or ())
    except NetworkFilesError as error:
        wrong = {"valid": False, "problems": [str(problem) for problem in error.problems]}
        last = styled(counted(len(error.problems), "problem"), "red")
        print_lines(wrong, (*problem_lines(error.problems), last), as_json=as_json, to=err)
        raise typer.Exit(WRONG_INPUT) from error
    errors = [finding for finding in findings if finding.severity == "error"]
    counts = _counts(network)
    said = {"valid": not errors, "counts": counts, "findings": [_plain(finding, where) for finding in findings]}
    warned = sum(finding.severity == "warning" for finding in findings)
    valid = styled(f"valid{with_warnings(warned)}", "green")
    conclusion = styled(counted(len(errors), "contract error"), "red") if errors else valid
    words = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print_lines(said, (*finding_lines(findings, where), words, conclusion), as_json=as_json)
    raise typer.Exit(1 if errors else 0)


@app.command(epilog="Example: minka network load deploy/networks/peru-mini")
def load(
    directory: Directory,
    endpoints: Endpoints = None,
    routers: Routers = None,
    pools: Pools = None,
    added: AddedFiles = None,
    as_json: Json = False,
) -> None:
    """Load network files as the controller's current version. Changes nothing on stations.

    Exits with 1 if they have contract errors: they are loaded all the same, and plans leave out what these are about.
    """
    beside = {"endpoints": endpoints, "routers": routers, "pools": pools}
    replaced = {kind: text_of(path) if path else None for kind, path in beside.items()}
    files = _files(directory)
    for path in added or ():
        if path.name in files:
            raise CliError(f"{path} has the name of a file of {directory}: rename one of them", WRONG_INPUT)
        files[path.name] = text_of(path)
    with working("loading the files", shown=not as_json):
        said = client().put("/v1/network", {"files": files, **replaced})
    with working("checking contracts", shown=not as_json):
        errors, warnings = _contract_findings(directory, beside, added or ())
    if as_json:
        print_json(said | {"contract_errors": errors, "contract_warnings": warnings})
        raise typer.Exit(1 if errors else 0)
    state = "loaded" if said["changed"] else "unchanged: this version was current already"
    out.print(f"{said['name']} ({said['digest'][:12]}) {state}")
    counts = {kind.removesuffix("s").replace("_", " "): count for kind, count in said["counts"].items() if count}
    out.print(", ".join(counted(count, kind) for kind, count in counts.items()))
    for line in difference_lines("against the version before:", said["differences"]):
        out.print(line)
    for warning in (*said["warnings"], *warnings):
        err.print(styled(warning, "yellow"))
    if said["abandoned"]:
        err.print(styled(f"not in these files, but still with nodes of ours: {_some(said['abandoned'])}", "yellow"))
        err.print("They are neither changed nor watched any more. Load files that have them, and before they leave the")
        err.print(
            "files run decommission-station on stations, terminate-function on functions and drain-pool on pools."
        )
    if said["out_of_reach"]:
        gone = f"{counted(len(said['out_of_reach']), 'device')} that could be reached before"
        err.print(styled(f"{gone} have no endpoint in these files: {_some(said['out_of_reach'])}", "yellow"))
        err.print(
            "They are neither changed nor watched any more. If --endpoints or --routers was forgotten, load again."
        )
    if errors:
        for line in errors:
            err.print(line)
        err.print(styled(f"{counted(len(errors), 'contract error')}: plans leave out what they are about", "red"))
        raise typer.Exit(1)


def _contract_findings(
    directory: Path, beside: Mapping[str, Path | None], added: Sequence[Path]
) -> tuple[list[str], list[str]]:
    """Contract errors and warnings of files that the controller took, as ``check`` names them."""
    from controller.cli.checks import check_files  # noqa: PLC0415 - loads the pure core only when asked

    try:
        _, findings, where = check_files(directory, beside["endpoints"], beside["routers"], beside["pools"], added)
    except NetworkFilesError:  # a controller of another version took them
        return [], []
    errors, warnings = ([one for one in findings if one.severity == grave] for grave in ("error", "warning"))
    return finding_lines(errors, where), finding_lines(warnings, where)


def _some(names: list[str]) -> str:
    """The first few of many names."""
    return first_names(names, _MOST)


@app.command(epilog="Example: minka network show agreements")
def show(
    kind: Annotated[str | None, typer.Argument(help="stations, cells, tenants, agreements, …")] = None,
    as_json: Json = False,
) -> None:
    """Show the current network, or all objects of one kind."""
    if kind is not None:
        with working(f"asking for {kind}", shown=not as_json):
            items = client().all(f"/v1/network/{kind}")
        print_answer(items, partial(_print_objects, kind=kind), as_json=as_json)
    else:
        print_answer(client().get("/v1/network"), _print_network, as_json=as_json)


def _print_objects(items: Listed, kind: str) -> None:
    names = [name for name in (items[0] if items else ()) if any(_words(item[name]) for item in items)]
    # The columns that identify an object come first; on a narrow terminal the last ones go first.
    columns = [Column(name, index, prose=index > 0, tells=index < _TELLING) for index, name in enumerate(names)]
    table(columns, ([_words(item[name]) for name in names] for item in items), f"{kind}: {len(items)}")


def _print_network(said: dict[str, Any]) -> None:
    out.print(f"{said['name']} ({said['id']}, version {said['digest'][:12]})")
    table(("kind", "count"), said["counts"].items())


@app.command(epilog="Example: minka network sharing region=cusco")
def sharing(selector: Selector = "*", as_json: Json = False) -> None:
    """List the tenants of each cell: by the agreements in force today, and by what Minka has configured."""
    with working("asking for the tenants of each cell", shown=not as_json):
        found = client().all("/v1/network/sharing", selector=selector)
    columns = (
        Column("cell"),
        Column("rat", 2, tells=True),
        Column("band", 3, tells=True),
        Column("primary", 1, tells=True),
        Column("tenants", prose=True),
    )
    records(found, columns, (_shared(cell) for cell in found), counted(len(found), "cell"), as_json=as_json)


def _shared(cell: dict[str, Any]) -> list[Any]:
    name, tenants = f"{cell['station']}/{cell['cell']}", styled(", ", "").join(map(_tenant, cell["tenants"]))
    return [name, cell["rat"], cell["band"], cell["primary_plmn"], tenants if cell["tenants"] else "nobody"]


def _tenant(one: dict[str, Any]) -> Any:
    """A tenant and its PLMNs, as in ``claro 716-10``, with PLMNs that are only agreed or only configured."""
    agreed, configured = one["agreed"], one["configured"]
    if not agreed:
        return styled(f"{one['tenant']} {' '.join(configured)} (no agreement)", "red")
    missing = [plmn for plmn in agreed if plmn not in configured]
    said = f"{one['tenant']} {' '.join(agreed)}"
    return styled(f"{said} ({' '.join(missing)} not configured)", "yellow") if missing else styled(said, "")


@app.command("import", epilog="Example: minka network import endpoints.csv --header our-network/ --to found/")
def import_(
    endpoints: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="endpoints.csv of live stations.")],
    header: Annotated[
        Path, typer.Option(exists=True, help="YAML, or directory of files, with network, regions, sites and tenants.")
    ],
    to: Annotated[Path, typer.Option(help="Directory to write to; must be new or empty.")],
    sites: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV with the columns station,site; by default each station gets its own site.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write network files from live stations: their cells, identities, PLMNs, shares and core links.

    Stations are only read. Next, check the files, load them, and adopt the stations.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise CliError(f"{to} is not empty: name a new directory", WRONG_INPUT)
    files = _files(header) if header.is_dir() else {header.name: text_of(header)}
    body = {"files": files, "endpoints": text_of(endpoints), "places": text_of(sites) if sites else None}
    with working("reading stations", shown=not as_json):
        said = client().post("/v1/network/import", body)
    if strange := [name for name in said["files"] if Path(name).name != name or name.startswith(".")]:
        raise CliError(
            f"the API answered with {strange[0]!r}, which is not the name of a file in {to}: nothing is written"
        )
    to.mkdir(parents=True, exist_ok=True)
    for name, text in said["files"].items():
        (to / name).write_text(text, encoding="utf-8", newline="\n")
    written = {"written": sorted(said["files"]), "notes": said["notes"]}
    print_answer(written, partial(_print_written, to=to), as_json=as_json)


def _print_written(said: dict[str, Any], to: Path) -> None:
    for note in said["notes"]:
        out.print(styled("note", "yellow"), note)
    out.print(f"wrote {', '.join(said['written'])} to {to}; next: minka network check {to}")


def _words(value: Any) -> str:
    """A value of a network object for people: lists and mappings as in selectors, empty for None."""
    if isinstance(value, dict):
        pairs = ((name, _words(inner)) for name, inner in value.items() if inner is not False)
        return " ".join(f"{name}={words}" for name, words in pairs if words)
    if isinstance(value, list):
        between = "; " if any(isinstance(one, dict) for one in value) else "|"
        return between.join(_words(one) for one in value)
    return "" if value is None else "yes" if value is True else str(value)


def _files(directory: Path) -> dict[str, str]:
    """Network files of a directory as they are uploaded; hidden ones are left out, as in loading.

    Raises:
        CliError: A file is not a regular file, or not UTF-8.
    """
    found = {}
    for path in sorted(_paths(directory)):
        if not path.is_file():
            raise CliError(f"{path} cannot be read: it is not a regular file", WRONG_INPUT)
        found[path.relative_to(directory).as_posix()] = text_of(path)
    return found


def _paths(directory: Path) -> Iterator[Path]:
    """Network files of a directory, without hidden ones."""
    for path in directory.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        if not hidden and not path.is_dir() and path.suffix.lower() in (".yaml", ".yml", ".csv"):
            yield path


def text_of(path: Path) -> str:
    """A file's text.

    Raises:
        InputError: It can't be read, is no regular file, or is too large.
        CliError: It is not UTF-8.
    """
    try:
        return content_of(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CliError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", WRONG_INPUT) from error


def _counts(network: Network) -> dict[str, int]:
    return {kind: len(getattr(network, kind)) for kind in ("stations", "cells", "tenants", "agreements")}


def _plain(finding: Finding, where: dict[str, str]) -> dict[str, Any]:
    return asdict(finding) | {"source": source_of(finding, where)}
