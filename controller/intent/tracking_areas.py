"""Tracking areas: PLMN and TAC together (TAI, TS 23.003 §19.4.2.3); equal codes of two PLMNs are two areas.

On LTE all cells of a tracking area broadcast the same PLMNs (TS 23.251 §4.2.2); on NR they serve the same slices of its
PLMN (TS 38.300 §16.3). Cells are distinguished by what they carry, of which there are few kinds in an area.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from controller.intent.findings import Check, finding
from controller.intent.grants import Grant
from controller.intent.sharing import CellSharing, Placed
from controller.models.facts import Finding
from controller.models.many import first_names
from controller.models.network import Cell, Network, Plmn, Rat, Snssai

_Kind = frozenset[Plmn]
_Slices = tuple[Snssai, ...]


def tracking_area_findings(network: Network, cells: Sequence[Placed], grants: Sequence[Grant]) -> Iterator[Finding]:
    """One finding, in equal words, for each station of a tracking area that is not uniform."""
    lte: dict[int, dict[_Kind, list[Placed]]] = defaultdict(lambda: defaultdict(list))
    nr: dict[tuple[Plmn, int], dict[_Slices, list[Placed]]] = defaultdict(lambda: defaultdict(list))
    for placed in cells:
        cell, shared, _ = placed
        planned = network.own_by_cell.get((cell.station, cell.id), {})
        if cell.rat is Rat.LTE:
            for tac, plmns in _plmns_by_tac(cell, shared, {tenant: own.tac for tenant, own in planned.items()}):
                lte[tac][plmns].append(placed)
        else:
            for broadcast in shared.broadcasts:
                own = planned.get(broadcast.tenant)
                nr[broadcast.plmn, own.tac if own else cell.tac][broadcast.slices].append(placed)
    for tac, kinds in sorted(lte.items()):
        for area in _overlapping(kinds) if len(kinds) > 1 else ():
            yield from _plmns_differ(tac, area, grants)
    for (plmn, tac), served in sorted(nr.items()):
        if len(served) > 1:
            yield from _slices_differ(plmn, tac, served, grants)


def _plmns_by_tac(cell: Cell, shared: CellSharing, own: Mapping[str, int]) -> Iterable[tuple[int, _Kind]]:
    """PLMNs of a cell by tracking area code; PLMNs of tenants with a code of their own are separate."""
    if not own:
        return [(cell.tac, shared.plmns)]
    found: dict[int, set[Plmn]] = defaultdict(set)
    for broadcast in shared.broadcasts:
        found[own.get(broadcast.tenant, cell.tac)].add(broadcast.plmn)
    return [(tac, frozenset(plmns)) for tac, plmns in found.items()]


def _overlapping(kinds: Mapping[_Kind, Sequence[Placed]]) -> Iterator[dict[_Kind, Sequence[Placed]]]:
    """Sets of PLMNs that overlap but differ, so that cells of one TAI differ."""
    left = sorted(kinds, key=sorted)
    while left:
        joined = {left.pop(0)}
        while found := [kind for kind in left if any(kind & other for other in joined)]:
            joined.update(found)
            left = [kind for kind in left if kind not in joined]
        if len(joined) > 1:
            yield {kind: kinds[kind] for kind in kinds if kind in joined}


def _plmns_differ(tac: int, area: Mapping[_Kind, Sequence[Placed]], grants: Sequence[Grant]) -> Iterator[Finding]:
    members = [placed for found in area.values() for placed in found]
    plmns = frozenset().union(*area)
    partial = [grant for grant in _partial(members, grants) if plmns.intersection(grant.plmns)]
    sets = _listed({tuple(sorted(kind)): found for kind, found in area.items()})
    message = f"tracking area {tac}: LTE cells differ in PLMNs, {sets}{_covering(partial)}"
    if any(grant.exclusive for grant in partial):
        message += "; a MORAN carrier whose tenant is on others, too, needs a tracking area code of its own"
    yield from _at_stations(Check.TRACKING_AREA_PLMNS, message, members, partial)


def _slices_differ(
    plmn: Plmn, tac: int, served: Mapping[_Slices, Sequence[Placed]], grants: Sequence[Grant]
) -> Iterator[Finding]:
    members = [placed for found in served.values() for placed in found]
    partial = [grant for grant in _partial(members, grants) if plmn in grant.plmns]
    sets = _listed({tuple(map(str, slices)): found for slices, found in served.items()})
    message = f"tracking area {plmn} {tac}: NR cells differ in slices, {sets}{_covering(partial)}"
    yield from _at_stations(Check.TRACKING_AREA_SLICES, message, members, partial)


def _at_stations(check: Check, message: str, members: Sequence[Placed], partial: Sequence[Grant]) -> Iterator[Finding]:
    agreement, tenant = (partial[0].agreement, partial[0].tenant) if len(partial) == 1 else ("", "")
    for station in sorted({cell.station for cell, _, _ in members}):
        every = (grant.agreement for grant in partial)
        yield finding(check, message, station=station, tenant=tenant, agreement=agreement, agreements=every)


def _partial(members: Sequence[Placed], grants: Sequence[Grant]) -> list[Grant]:
    """Grants that cover only some cells of a tracking area."""
    covered = Counter(number for _, _, numbers in members for number in numbers)
    return [grants[number] for number in sorted(covered) if covered[number] < len(members)]


def _covering(partial: Sequence[Grant]) -> str:
    if not partial:
        return ""
    named = ", ".join(grant.agreement for grant in partial)
    return f"; {'agreement' if len(partial) == 1 else 'agreements'} {named} covering only a part"


def _listed(kinds: Mapping[tuple[str, ...], Sequence[Placed]]) -> str:
    """What cells carry, with their names, most frequent first: ``716-06 716-10 on PE-1/B28-1 and 7 more``."""
    ordered = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    return "; ".join(
        f"{' '.join(words) or 'none'} on {_cells(sorted(cell.name for cell, _, _ in found))}"
        for words, found in ordered
    )


def _cells(names: Sequence[str]) -> str:
    return first_names(names, 1)
