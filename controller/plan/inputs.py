"""Inputs of a plan besides network and intent: the view of each station, and the request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from controller.models.facts import HOST_OWNED, Finding, Owners, Severity
from controller.models.network import Network, Plmn, Snssai
from controller.models.plan import LedgerNode
from controller.models.run import Hold, LedgerEntry
from controller.nrm.diff import plmn_part
from controller.nrm.profiles import (
    Rendered,
    broadcast_plmn,
    carriers_of,
    cell_of,
    cells,
    is_carrier,
    is_reserved,
    leaf_of,
)
from controller.nrm.profiles.externals import cell_name
from controller.nrm.schema import KeyRole, LeafRole, NodeSpec, elsewhere, spec_of
from controller.nrm.tree import (
    LeafName,
    Observed,
    Path,
    Tree,
    Value,
    class_of,
    name_of,
    name_with,
    names_in,
    parent,
    step,
    steps,
)


@dataclass(frozen=True, slots=True)
class StationView:
    """The view of one station: its configuration, and what is on record of it.

    Attributes:
        observed: What the station says of itself, None if it could not be read.
        adopted: Whether it is ours to change; else it is observed only.
        ledger: Nodes that we adopted or applied there.
        unreachable: Why it could not be read, empty if it was.
        retired: Since when it is out of service, None while it is not.
        tested: PLMNs that are reserved for operator use on stations around, where nothing of them is ours on this one.
        served: Of a function, tenants with nodes of ours on the stations that it serves: they fail where it restarts.
        locked: Cells of ours that the station has lost and that were locked when it still had them: they stay so.
        holders: Who locked cells and core links of ours, in words by cell or path, as far as a run of ours did.
        left_locked: Those of these cells that a run left so that diverged: nobody asked for it.
        lapsed: Those of these that the run locked for its own edits only, while the station counts as diverged.
        beside: Ids of other managed elements of which a person said that they may stand on the station.
    """

    observed: Observed | None
    adopted: bool
    ledger: Mapping[Path, LedgerEntry] = field(default_factory=dict)
    unreachable: str = ""
    retired: datetime | None = None
    served: frozenset[str] = frozenset()
    tested: frozenset[Plmn] = frozenset()
    locked: frozenset[str] = frozenset()
    holders: Mapping[str, str] = field(default_factory=dict)
    left_locked: frozenset[str] = frozenset()
    lapsed: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Limit:
    """What a plan may bring, change or remove; all else stays as it is on the station.

    Attributes:
        tenant: Nodes of this tenant alone.
        snssai: Of these only entries for this slice, and what they stand in.
    """

    tenant: str
    snssai: Snssai | None = None


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the requester asked for and allows.

    Attributes:
        selector: Words that chose the stations; kept in the plan for the record.
        remove: Owner → number of nodes that may be removed on all stations together: exactly as many
            as the plan finds. Owners are tenants or ``host``; what is not named is not removed.
        max_share: Share of the network's stations that a plan may touch without naming their number.
        expect_stations: The number of stations that the requester expects to touch.
        under_hold: Stations (``PE-CUS-0042``) and cells (``PE-CUS-0042/1``) under a hold.
        skip_under_hold: Whether stations under a hold are left out; else they are planned, and wait for its end.
        automatic: Whether no person asked: holds and locks that are not ours keep stations out.
        limit: The part of what is wanted that the plan is about; None for all of it.
        unlocks: Whether cells come back on air that a run of ours locked for its edits and left so when it diverged;
            that is for a person's plan, since no repair touches the administrative state.
        reserved: Whether PLMNs that come on air are reserved for operator use, where a profile can say so.
        identities: Whether identities on air may change: PLMNs of global node ids, which restarts the station, and
            primary PLMNs of cells, which are locked for that. Else the former stay, and the latter keep it out;
            an automatic plan leaves both as they are and repairs all else.
    """

    selector: str = ""
    remove: Mapping[str, int] = field(default_factory=dict)
    max_share: float = 0.5
    expect_stations: int | None = None
    under_hold: frozenset[str] = frozenset()
    skip_under_hold: bool = False
    automatic: bool = False
    limit: Limit | None = None
    identities: bool = False
    reserved: bool = False
    unlocks: bool = False

    def holds_at(self, station: str) -> list[str]:
        """Objects under a hold at a station: the whole station, or cells; sorted."""
        return sorted(name for name in self.under_hold if name.partition("/")[0] == station)


def under_hold(network: Network, holds: Iterable[Hold]) -> frozenset[str]:
    """Devices and cells under a hold; a hold on a site covers all its devices."""
    return frozenset(target for hold in holds for target in hold.targets(network))


# ----------------------------------------------------------------------- dark


def in_sight(rendered: Rendered, view: StationView) -> tuple[Rendered, StationView]:
    """The desired tree and the view without what the device could not report, which is neither missing nor surplus."""
    if view.observed is None or not view.observed.dark:
        return rendered, view
    unseen = view.observed.unseen
    tree = {path: leaves for path, leaves in rendered.tree.items() if not unseen(path)}
    owners = {path: owned for path, owned in rendered.owners.items() if not unseen(path)}
    ledger = {path: entry for path, entry in view.ledger.items() if not unseen(path)}
    return replace(rendered, tree=tree, owners=owners), replace(view, ledger=ledger)


def where_it_stands(root: NodeSpec, rendered: Rendered, observed: Observed) -> Rendered:
    """The desired tree without entries that moved on the device by themselves."""
    gone = {
        path
        for path in rendered.tree
        if path not in observed.tree
        and not observed.unseen(path)
        and any(other in rendered.tree for other in elsewhere(root, path, observed.tree))
    }
    if not gone:
        return rendered
    tree = {path: leaves for path, leaves in rendered.tree.items() if path not in gone}
    return replace(rendered, tree=tree, owners={path: rendered.owners[path] for path in tree})


# ---------------------------------------------------------------- reservations


def with_reservations(root: NodeSpec, rendered: Rendered, view: StationView, *, reserve: bool = False) -> Rendered:
    """The desired tree with reservations of PLMNs for operator use, which network files do not have.

    One of ours stays as we last applied it, so that another value on air is drift. One that is on air and not ours
    yet stays as it is. One that newly comes on air is reserved while its tenant is being tested: where all that is
    ours of it on the station is reserved or, where nothing of it is, where it is reserved on stations around.

    Args:
        root: Schema of the station.
        rendered: What the network files want.
        view: What is known of the station.
        reserve: Whether PLMNs that newly come on air are reserved.
    """
    paths, there = _reservable(root, rendered.tree), view.observed.tree if view.observed else {}
    new = {plmn_part(path) for path in paths if path not in view.ledger}
    on_air = {_place(path): there[path] for path in _reservable(root, there) if plmn_part(path) in new} if new else {}
    tested = _tested(root, view) if new and not reserve else frozenset()
    found: dict[Path, dict[LeafName, Value]] = {}
    for path in paths:
        known = view.ledger[path].leaves if path in view.ledger else on_air.get(_place(path))
        if known == {} or (known is None and not (reserve or broadcast_plmn(path) in tested)):
            continue  # open to all, as almost all are: this has to be quick
        leaf = leaf_of(path, LeafRole.RESERVED)
        if value := "true" if known is None else known.get(leaf):
            found[path] = {**rendered.tree[path], leaf: value}
    return replace(rendered, tree={**rendered.tree, **found}) if found else rendered


def _tested(root: NodeSpec, view: StationView) -> frozenset[Plmn]:
    """PLMNs of tenants that are not open to all users yet."""
    ours: dict[str, list[Path]] = {}
    for path in _reservable(root, view.ledger):
        ours.setdefault(plmn_part(path), []).append(path)
    closed = {
        broadcast_plmn(paths[0]): all(is_reserved({path: view.ledger[path].leaves}, path) for path in paths)
        for paths in ours.values()
    }
    return frozenset(plmn for plmn, all_of_it in closed.items() if all_of_it) | (view.tested - closed.keys())


def _reservable(root: NodeSpec, tree: Iterable[Path]) -> list[Path]:
    """PLMNs on air that can be reserved for operator use."""
    return [path for step in root.reservable for path in tree if step in path]


def _place(path: Path) -> tuple[str, str]:
    """Cell and PLMN of an entry, in whichever list it is."""
    return cell_of(path), plmn_part(path)


# ------------------------------------------------------------- given by devices


def with_given(root: NodeSpec, rendered: Rendered, observed: Observed | None) -> Rendered:
    """The desired tree with entries that come with the device, such as its list of alarms.

    What the device can't have (a measurement job, a switch of ANR) is not wanted of it, and a finding says so.
    """
    if observed is not None and observed.lacks:
        rendered = _without(rendered, observed.lacks)
    found: dict[Path, dict[LeafName, Value]] = {}
    for path in () if observed is None else given_in(root, observed.tree):
        spec = spec_of(root, path)
        found[path] = dict(spec.given) if spec else {}
    if not found:
        return rendered
    return replace(
        rendered, tree={**rendered.tree, **found}, owners={**rendered.owners, **dict.fromkeys(found, HOST_OWNED)}
    )


def _without(rendered: Rendered, lacks: Collection[str]) -> Rendered:
    entries = {name.partition("/")[0] for name in lacks}
    tree: dict[Path, dict[LeafName, Value]] = {}
    beyond = []
    gone: set[Path] = set()
    for path, leaves in rendered.tree.items():
        name = class_of(path)
        if name in lacks or parent(path) in gone:
            beyond += [] if name in beyond else [name]
            gone.add(path)
            continue
        without = {leaf for leaf in leaves if f"{name}/{leaf}" in lacks} if name in entries else ()
        beyond += [f"{name}/{leaf}" for leaf in sorted(without)]
        tree[path] = {leaf: value for leaf, value in leaves.items() if leaf not in without} if without else leaves
    if not beyond:
        return rendered
    station = step(next(iter(rendered.tree)))[1][0]
    message = f"{station} does not offer {', '.join(beyond)}, which was left out"
    findings = (Finding("not-offered", Severity.INFO, message, station),)
    owners = {path: owned for path, owned in rendered.owners.items() if path in tree}
    return Rendered(tree, owners, (*rendered.findings, *findings))


def given_in(root: NodeSpec, tree: Tree) -> tuple[Path, ...]:
    """Entries that came with the device."""
    names = {node.name for node in root.children if node.given}
    return tuple(path for path in tree if class_of(path) in names) if names else ()


# -------------------------------------------------------------------- carriers


def at_what_cells_name(
    root: NodeSpec, rendered: Rendered, observed: Tree, ledger: Mapping[Path, LedgerNode]
) -> Rendered:
    """The desired tree, with the carriers, frequency relations and external cells that cells on air use."""
    placed = at_externals(root, at_carriers(root, rendered, observed, ledger), observed, ledger)
    named = at_frequencies(root, placed, observed, ledger)
    differing = _other_frequencies(root, rendered, named, observed, ledger)
    return replace(named, findings=(*named.findings, *differing))


def at_carriers(root: NodeSpec, rendered: Rendered, observed: Tree, ledger: Mapping[Path, LedgerNode]) -> Rendered:
    """Move desired values of rendered carriers to the carriers that cells on air name.

    A cell that names another carrier keeps it. Where it names several, or shares one with another cell, nothing is
    wanted of them: files speak of cells. Where a carrier on air differs from its cell in what both have (channel
    numbers, bandwidths), the field planned it so (TS 28.541, NRCellDU), and it stays unless the ledger says otherwise.
    """
    carriers = [path for begins in root.carriers for path in rendered.tree if begins in path and is_carrier(path)]
    if not carriers:
        return rendered
    beside = {(parent(cell.path), cell.cell): cell.path for cell in cells(rendered.tree)}
    carried = {path: beside.get((parent(path), step(path)[1][0]), "") for path in carriers}
    places = {path: _carrier_on_air(path, cell, observed) for path, cell in carried.items()}
    used = Counter(places.values())
    tree, owners = {}, {}
    for path, leaves in rendered.tree.items():
        place = places.get(path, path)
        if place is None or (path in places and used[place] > 1):
            continue
        held = ledger[place].leaves if place in ledger else {}
        has = observed.get(place, {})
        cell = observed.get(carried.get(path, ""), {}) if place in observed else {}
        tree[place] = {
            name: value
            for name, value in leaves.items()
            if name not in cell or name in held or has.get(name) == cell[name]
        }
        owners[place] = rendered.owners[path]
    return replace(rendered, tree=tree, owners=owners)


def _carrier_on_air(path: Path, cell: Path, observed: Tree) -> Path | None:
    """The carrier on air for a rendered one: itself if the cell names none yet; None if unclear."""
    named = carriers_of(observed, cell) if cell else ()
    if not named or named == (path,):
        return path
    return named[0] if len(named) == 1 and named[0] in observed else None


# ----------------------------------------------------------------- frequencies


def at_frequencies(root: NodeSpec, rendered: Rendered, observed: Tree, ledger: Mapping[Path, LedgerNode]) -> Rendered:
    """Let new cell relations use the frequency relation that the cell has on air.

    Profiles render one of ours for each frequency; it is wanted only where none on air leads to that frequency, and
    leads to the frequency of that channel that the station has. Where the frequency itself can't be made, neither its
    relations are wanted nor those between cells, and a finding says so.
    """
    relations = _frequency_relations(root, rendered.tree)
    if not relations:
        return rendered
    rendered = _at_known_frequencies(root, rendered, observed, ledger)
    new = [path for path in relations if path not in observed and path not in ledger]
    known = _frequencies(root, {**observed, **rendered.tree})
    there: dict[tuple[Path, Value], Path] = {}
    for path in _frequency_relations(root, observed) if new else ():
        there.setdefault((parent(path), known.get(_frequency_of(root, observed, path), "")), path)
    moved: dict[str, Path] = {}
    for path in new:
        ssb = known.get(_frequency_of(root, rendered.tree, path), "")
        if not ssb or (parent(path), ssb) in there:
            moved[name_of(path)] = there.get((parent(path), ssb), "") if ssb else ""
    return _moved(root, rendered, observed, ledger, moved) if moved else rendered


def _at_known_frequencies(
    root: NodeSpec, rendered: Rendered, observed: Tree, ledger: Mapping[Path, LedgerNode]
) -> Rendered:
    """Let frequency relations of ours lead to the frequency of their channel that the station has.

    A new one takes the one that differs least. One that is there keeps its own, as long as that has the channel.
    """
    others = _of_the_channel(root, rendered.tree, observed, ledger)
    known, has = _frequencies(root, rendered.tree), _frequencies(root, observed)
    changed: dict[Path, dict[LeafName, Value]] = {}
    for path in _frequency_relations(root, rendered.tree):
        name = _frequency_of(root, rendered.tree, path)
        other = others.get(name, "") if path not in ledger else ""
        if path in observed and known.get(name) == has.get(_frequency_of(root, observed, path), ""):
            other = _frequency_of(root, observed, path)
        if other and other != name:
            changed[path] = {**rendered.tree[path], _leaf_of(root, path, LeafRole.FREQUENCY): other}
    if not changed:
        return rendered
    tree = _used_frequencies(root, {**rendered.tree, **changed}, {*observed, *ledger})
    return replace(rendered, tree=tree, owners={path: rendered.owners[path] for path in tree})


def _of_the_channel(root: NodeSpec, wanted: Tree, observed: Tree, ledger: Mapping[Path, LedgerNode]) -> dict[str, str]:
    """Frequencies that would be new → the one on the station of that channel that differs least, if it has one."""
    paths = _frequency_paths(root, wanted)
    there: dict[Value, list[Path]] = {}
    for path in _frequency_paths(root, observed).values() if paths else ():
        there.setdefault(observed[path].get(_leaf_of(root, path, LeafRole.SSB), ""), []).append(path)
    found: dict[str, str] = {}
    for name, path in paths.items():
        ssb = wanted[path].get(_leaf_of(root, path, LeafRole.SSB), "")
        if ssb in there and path not in observed and path not in ledger:
            alike = partial(_unlikeness, root, path, wanted[path], observed)
            found[name] = name_of(min(there[ssb], key=alike))
    return found


def _unlikeness(root: NodeSpec, path: Path, wants: Mapping[LeafName, Value], tree: Tree, place: Path) -> int:
    """In how many attributes an entry of a tree differs from the wanted one."""
    return len(_unlike(root, path, wants, tree[place]))


def _other_frequencies(
    root: NodeSpec, rendered: Rendered, named: Rendered, observed: Tree, ledger: Mapping[Path, LedgerNode]
) -> Iterator[Finding]:
    """What differs in frequencies of somebody else that relations of ours use.

    A relation uses that of its relation to a frequency, and that of the external cell that it leads to. Another channel
    of the latter is a difference of the cell, which is told of with the cell.
    """
    wanted = _frequency_paths(root, rendered.tree)
    there = _frequency_paths(root, observed) if wanted else {}
    station = _station_of(root, rendered.tree)
    told: dict[tuple[Path, LeafName], Finding] = {}
    for role, ours, used in _frequencies_used(root, rendered.tree, named.tree, observed) if there else ():
        path, other = wanted.get(ours, ""), there.get(used, "")
        if not path or not other or other in ledger or other in named.tree:
            continue
        for name, has, wants in _unlike(root, path, rendered.tree[path], observed[other]):
            if role is LeafRole.FREQUENCY_RELATION or name != _leaf_of(root, path, LeafRole.SSB):
                told.setdefault((other, name), _differs(station, other, name, has, wants))
    yield from told.values()


def _frequencies_used(
    root: NodeSpec, wanted: Tree, planned: Tree, observed: Tree
) -> dict[tuple[LeafRole, str, str], None]:
    """Frequencies that relations between cells use: by which role, which one by the files, and which one in fact."""
    asked, naming = _naming_frequencies(root, wanted), _naming_frequencies(root, {**observed, **planned})
    found: dict[tuple[LeafRole, str, str], None] = {}
    for path in (path for begins in root.cell_relations for path in planned if begins in path and path in wanted):
        has = _as_planned(root, path, planned, observed)
        for role in (LeafRole.FREQUENCY_RELATION, LeafRole.NEIGHBOUR):
            leaf = _leaf_of(root, path, role)
            by_files, in_fact = asked.get(str(wanted[path].get(leaf, ""))), naming.get(str(has.get(leaf, "")))
            if by_files and in_fact:
                one = _as_planned(root, in_fact, planned, observed)
                found[role, _frequency_of(root, wanted, by_files), _frequency_of(root, {in_fact: one}, in_fact)] = None
    return found


def _naming_frequencies(root: NodeSpec, tree: Tree) -> dict[str, Path]:
    """Entries that may name a frequency, by distinguished name."""
    return {name_of(path): path for path in (*_frequency_relations(root, tree), *_externals(root, tree))}


def _as_planned(root: NodeSpec, path: Path, planned: Tree, observed: Tree) -> dict[LeafName, Value]:
    """An entry after the plan: initial values that are there stay."""
    spec, has = spec_of(root, path), observed.get(path, {})
    follows = set() if spec is None else {leaf.name for leaf in spec.leaves if leaf.compared}
    comes = planned.get(path, {}).items()
    return {**has, **{name: value for name, value in comes if name in follows or name not in has}}


def _leaf_of(root: NodeSpec, path: Path, role: LeafRole) -> LeafName:
    """Name of the leaf of an entry that has a role; empty if none has."""
    spec = spec_of(root, path)
    return "" if spec is None else spec.leaf(role)


def _unlike(
    root: NodeSpec, path: Path, wants: Mapping[LeafName, Value], has: Mapping[LeafName, Value]
) -> list[tuple[LeafName, str, str]]:
    """Attributes that an entry has otherwise than wanted, as it has and should have them."""
    spec = spec_of(root, path)
    names = () if spec is None else (leaf.name for leaf in spec.leaves if leaf.compared and leaf.name in wants)
    return [(name, str(has.get(name, "nothing")), str(wants[name])) for name in names if has.get(name) != wants[name]]


def _station_of(root: NodeSpec, tree: Tree) -> str:
    """The station that a tree is about."""
    return next((step(path)[1][0] for path in tree if parent(path) == "" and class_of(path) == root.name), "")


def _differs(station: str, path: Path, name: LeafName, has: str, wanted: str) -> Finding:
    """One attribute of an object of somebody else that relations of ours rely on."""
    message = (
        f"{station}: {name_of(path)} is not ours and stays as it is, and neighbour relations of ours lead to it: "
        f"its {name} is {has}, and by the network files {wanted}"
    )
    return Finding("external-differs", Severity.WARNING, message, station)


def _frequency_relations(root: NodeSpec, tree: Tree) -> list[Path]:
    return [path for step in root.frequency_relations for path in tree if step in path]


def _frequency_of(root: NodeSpec, tree: Tree, path: Path) -> str:
    """Distinguished name of the frequency that a relation leads to."""
    spec = spec_of(root, path)
    named = "" if spec is None else str(tree[path].get(spec.leaf(LeafRole.FREQUENCY), ""))
    return name_with(names_in(named)[-2:]) if named else ""


def _frequency_paths(root: NodeSpec, tree: Iterable[Path]) -> dict[str, Path]:
    """Frequencies by distinguished name."""
    near = (path for path in tree if path.startswith(root.around))
    return {name_of(path): path for path in near if _leaf_of(root, path, LeafRole.SSB)}


def _frequencies(root: NodeSpec, tree: Tree) -> dict[str, Value]:
    """Channel numbers of the SSBs of frequencies, by distinguished name."""
    paths = _frequency_paths(root, tree)
    return {name: tree[path].get(_leaf_of(root, path, LeafRole.SSB), "") for name, path in paths.items()}


def _moved(
    root: NodeSpec,
    rendered: Rendered,
    observed: Tree,
    ledger: Mapping[Path, LedgerNode],
    moved: Mapping[str, Path],
) -> Rendered:
    """The desired tree with some of our frequency relations replaced or removed, and without unused ones."""
    tree: dict[Path, dict[LeafName, Value]] = {}
    left_out: list[Path] = []
    for path, leaves in rendered.tree.items():
        spec = spec_of(root, path)
        leaf = "" if spec is None else spec.leaf(LeafRole.FREQUENCY_RELATION)
        named = str(leaves[leaf]) if leaf and leaf in leaves else ""
        if name_of(path) in moved:
            continue
        if named not in moved or path in observed:
            tree[path] = leaves
        elif moved[named]:
            tree[path] = {**leaves, leaf: name_of(moved[named])}
        else:
            left_out.append(path)
    tree = _used_frequencies(root, tree, {*observed, *ledger})
    owners = {path: rendered.owners[path] for path in tree}
    findings = tuple(_no_frequency(path) for path in left_out)
    return Rendered(tree, owners, (*rendered.findings, *findings))


def _used_frequencies(
    root: NodeSpec, tree: dict[Path, dict[LeafName, Value]], held: Collection[Path]
) -> dict[Path, dict[LeafName, Value]]:
    """A desired tree without new frequencies that nothing in it names, and without new networks that hold nothing."""
    naming = (*_frequency_relations(root, tree), *_externals(root, tree))
    kept = {_frequency_of(root, tree, path) for path in naming}
    unused = {name for name in _frequencies(root, tree) if name not in kept}
    tree = {path: one for path, one in tree.items() if path in held or name_of(path) not in unused}
    holders = {parent(path) for path in tree}
    tops = {node.name for node in root.beside}
    return {path: one for path, one in tree.items() if path in held or path in holders or class_of(path) not in tops}


def _no_frequency(path: Path) -> Finding:
    station = next(steps(path))[1][0]
    message = (
        f"cell {station}/{cell_of(path)}: its relation {step(path)[1][0]} was left out: the cell has none to that "
        "frequency, and the station takes no frequencies"
    )
    return Finding("not-offered", Severity.INFO, message, station, cell_of(path))


# ------------------------------------------------------------------- externals


def at_externals(root: NodeSpec, rendered: Rendered, observed: Tree, ledger: Mapping[Path, LedgerNode]) -> Rendered:
    """Let neighbour relations name the external cells that the station has already.

    Profiles render one of ours for each cell elsewhere; it is wanted only where the station has none with its identity,
    and below the base station that is there. One that is not ours stays as it is; a finding names what differs. Where
    the station takes no external cells, relations name the cell in its own station, as they do for cells of the same
    one.
    """
    placed = _Externals(root, rendered, observed, ledger)
    relations = [path for step in root.cell_relations for path in rendered.tree if step in path]
    named = {path: placed.name(_neighbour_of(root, rendered.tree, path)) for path in relations}
    changed = {path for path in relations if named[path] != _neighbour_of(root, rendered.tree, path)}
    if not changed and not placed.moved:
        return rendered
    tree: dict[Path, dict[LeafName, Value]] = {}
    owners: dict[Path, Owners] = {}
    for path, leaves in rendered.tree.items():
        place = placed.places.get(path, path)
        if place != path and place in observed and place not in ledger:
            continue  # theirs: it stays as it is
        refers = {**({LeafRole.NEIGHBOUR: named[path]} if path in changed else {}), **placed.refers(path)}
        tree[place] = {**leaves, **_by_role(root, path, refers)}
        owners[place] = rendered.owners[path]
    tree = _used_frequencies(root, tree, {*observed, *ledger})
    findings = (*rendered.findings, *placed.findings())
    return Rendered(tree, {path: owners[path] for path in tree}, findings)


def _by_role(root: NodeSpec, path: Path, values: Mapping[LeafRole, str]) -> dict[LeafName, Value]:
    """Leaves of an entry by the roles that they have."""
    spec = spec_of(root, path)
    return {} if spec is None else {spec.leaf(role): value for role, value in values.items()}


def _externals(root: NodeSpec, tree: Iterable[Path]) -> list[Path]:
    """Entries that describe objects of other stations, those of functions before their cells."""
    around = root.around
    near = (path for path in tree if path.startswith(around))
    return [path for path in near if (spec := spec_of(root, path)) is not None and spec.external]


def _neighbour_of(root: NodeSpec, tree: Tree, path: Path) -> str:
    """Distinguished name of the cell that a relation leads to."""
    spec = spec_of(root, path)
    return "" if spec is None else str(tree[path].get(spec.leaf(LeafRole.NEIGHBOUR), ""))


class _Externals:
    """Where what is wanted to be known of other stations stands on this one.

    Attributes:
        places: Path of a rendered entry → its path on the station.
        moved: Rendered paths of those that stand elsewhere, or name another frequency.
    """

    def __init__(self, root: NodeSpec, rendered: Rendered, observed: Tree, ledger: Mapping[Path, LedgerNode]) -> None:
        self._root = root
        self._wanted, self._observed, self._ledger = rendered.tree, observed, ledger
        wanted = _externals(root, rendered.tree)
        there: dict[tuple[object, ...], list[Path]] = {}
        for path in _externals(root, observed) if wanted else ():
            there.setdefault(self._identity(path, parent(path), observed), []).append(path)
        self._channels = _frequencies(root, rendered.tree), _frequencies(root, observed)
        self.places: dict[Path, Path] = {}
        for path in wanted:
            above = self.places.get(parent(path), parent(path))
            place = above + path[len(parent(path)) :]
            if place not in observed and place not in ledger:
                alike = there.get(self._identity(path, above, rendered.tree), [place])
                place = min(alike, key=partial(self._distance, path))
            self.places[path] = place
        self.moved = {path for path, place in self.places.items() if path != place}
        self._names = {name_of(path): name_of(place) for path, place in self.places.items()}
        self._others = self._frequencies(rendered.tree, observed, ledger) if wanted else {}
        self.moved |= self._others.keys()

    def name(self, wanted: str) -> str:
        """The name of a cell that a relation leads to: as it is known on the station, or in its own station."""
        (network, _), *objects = names_in(wanted)
        top = next((node for node in self._root.beside if node.name == network), None)
        if top is None or wanted in self._names:
            return self._names.get(wanted, wanted)
        (function, station), (cell, name) = objects
        stands_for = top.child_by_name[function]
        return cell_name(station, stands_for.external, stands_for.child_by_name[cell].external, name)

    def refers(self, path: Path) -> dict[LeafRole, str]:
        """The frequency that a new external cell names, if it is not ours."""
        return {LeafRole.FREQUENCY: self._others[path]} if path in self._others else {}

    def _identity(self, path: Path, above: Path, tree: Tree) -> tuple[object, ...]:
        """What tells an entry from others: a base station by itself, a cell within its base station."""
        spec, holder = spec_of(self._root, path), spec_of(self._root, above)
        assert spec is not None
        within = above if holder is not None and holder.external else ""
        return within, spec.name, *(tree[path].get(leaf) for leaf in spec.identity)

    def _frequencies(self, wanted: Tree, observed: Tree, ledger: Mapping[Path, LedgerNode]) -> dict[Path, str]:
        """Frequencies on the station that external cells of ours name in place of new ones of ours.

        One that is there keeps the frequency that it names, as long as that has the channel of the files.
        """
        others = _of_the_channel(self._root, wanted, observed, ledger)
        known, has = self._channels
        found: dict[Path, str] = {}
        for path, place in self.places.items():
            name = _frequency_of(self._root, wanted, path)
            if not name:
                continue
            channel = known.get(name, "")
            other = others.get(name) if place not in ledger else None
            if place in observed and channel and has.get(_frequency_of(self._root, observed, place)) == channel:
                other = self._named(observed, place)
            if other:
                found[path] = other
        return found

    def _named(self, tree: Tree, path: Path) -> str:
        """The frequency that an external cell names, as it is written there; empty if it names none."""
        spec = spec_of(self._root, path)
        return "" if spec is None else str(tree[path].get(spec.leaf(LeafRole.FREQUENCY), ""))

    def _differences(self, path: Path, place: Path) -> list[tuple[LeafName, str, str]]:
        """Attributes in which an entry of the station differs from the wanted one, as it has and should have them.

        Frequencies count by their channel: any of them will do. PLMNs are the station's own to keep up.
        """
        if place not in self._observed:
            return []
        wants, has = self._wanted[path], self._observed[place]
        spec = spec_of(self._root, path)
        assert spec is not None
        frequency = spec.leaf(LeafRole.FREQUENCY)
        told = [one for one in _unlike(self._root, path, wants, has) if one[0] != frequency]
        known, there = self._channels
        channel = known.get(_frequency_of(self._root, self._wanted, path), "")
        if channel and channel != (other := there.get(_frequency_of(self._root, self._observed, place), "")):
            named = self._named(self._observed, place) or "nothing"
            told.append((frequency, f"{named} (SSB {other or 'unknown'})", f"one with SSB {channel}"))
        return told

    def _distance(self, path: Path, place: Path) -> int:
        """In how many attributes an entry of the station differs from the wanted one."""
        return len(self._differences(path, place))

    def findings(self) -> Iterator[Finding]:
        """What differs in entries that are not ours, and that relations of ours lead to all the same."""
        for path, place in self.places.items():
            if path == place or place in self._ledger:
                continue
            for name, has, wanted in self._differences(path, place):
                yield _differs(_station_of(self._root, self._wanted), place, name, has, wanted)


# ---------------------------------------------------------------------- limits


@dataclass(frozen=True, slots=True)
class LimitedPlan:
    """The desired tree and view of a station, reduced to a limit.

    Attributes:
        rendered: What is wanted within the limit, and what is there of ours outside of it.
        view: The station without what is outside and gone.
        within: Paths within the limit.
        lacking: Nodes that the wanted ones stand in, and that are not there: somebody else's to bring.
    """

    rendered: Rendered
    view: StationView
    within: frozenset[Path]
    lacking: tuple[Path, ...]


def limited(root: NodeSpec, rendered: Rendered, view: StationView, limit: Limit) -> LimitedPlan:
    """Limit a plan: inside the limit the desired tree counts, outside what is there."""
    there = view.observed.tree if view.observed else {}
    before = {path: entry.owners for path, entry in view.ledger.items()}
    owners: Mapping[Path, Owners] = {**before, **rendered.owners}
    within = {
        path
        for path, found in owners.items()
        if found == before.get(path, found) == (limit.tenant,) and _names(root, limit, path)
    }
    lacking = []
    for path in sorted(within & rendered.tree.keys()):
        above = parent(path)
        while above and above not in there and above not in within:
            if owners.get(above) == (limit.tenant,) and above in rendered.tree:
                within.add(above)
            else:
                lacking.append(above)
                break
            above = parent(above)
    kept = [path for path in there if path not in within and path in owners]
    tree = {path: dict(there[path]) for path in kept if path not in rendered.tree}
    for path, leaves in rendered.tree.items():
        if path in within:
            tree[path] = leaves
        elif path in there:
            tree[path] = dict(there[path])
    ledger: dict[Path, LedgerEntry] = {
        path: entry for path, entry in view.ledger.items() if path in within or path in there
    }
    wanted = Rendered(tree, {path: owners.get(path, HOST_OWNED) for path in tree}, rendered.findings)
    return LimitedPlan(wanted, replace(view, ledger=ledger), frozenset(within), tuple(dict.fromkeys(lacking)))


def _names(root: NodeSpec, limit: Limit, path: Path) -> bool:
    """Whether an entry is for the limit's slice; true if the limit names none."""
    spec = spec_of(root, path)
    if limit.snssai is None or spec is None:
        return limit.snssai is None
    keys = spec.keys_of(path)
    return (keys.get(KeyRole.SD), keys.get(KeyRole.SST)) == (limit.snssai.sd, str(limit.snssai.sst))
