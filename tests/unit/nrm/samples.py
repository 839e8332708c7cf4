"""Facts of small stations, fixed and generated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from controller.inventory.radio import ssb_next_to
from controller.models.facts import (
    BroadcastFact,
    CellFact,
    CoreLinkFact,
    ExternalCell,
    Fact,
    Interface,
    LinkKind,
    NeighbourFact,
    OwnIdentity,
    PeerFact,
    ShareFact,
    StationFact,
)
from controller.models.network import Rat, ResourceType, Snssai
from controller.models.plan import Edit, Op
from controller.nrm.profiles import Rendered, root_spec

STATION = "PE-CUS-0042"
BOTH = ("lte-28658", "nr-28541")
PLMNS = {"movistar": "716-06", "claro": "716-10", "bitel": "716-15", "entel": "716-17"}
TENANTS = tuple(PLMNS)
SLICES = (Snssai(sst=1, sd="0000D1"), Snssai(sst=2))


def station(*, anr: bool | None = None) -> StationFact:
    return StationFact(STATION, "Cusco 42", "716-06", 160042, 20, "716-06", 160042, 24, anr)


def cell(name: str, rat: Rat, band: str, number: int = 1) -> CellFact:
    arfcn = {"B28": (9285, 27285), "B40": (38950, 38950), "n78": (623334, 623334), "n28": (154600, 143600)}[band]
    bandwidth = 20 if rat is Rat.NR else 10
    return CellFact(STATION, name, rat, number, band, *arfcn, bandwidth, 100 + number, 4201, "716-06")


def planned(cell: CellFact) -> CellFact:
    """A cell whose power, PRACH root and SSB network files say, as far as its technology has them."""
    if cell.rat is Rat.LTE:
        return replace(cell, max_tx_power_dbm=43.5, prach_root=20)
    return replace(cell, max_tx_power_dbm=46.0, ssb_arfcn=ssb_next_to(cell.arfcn_dl))


def broadcast(cell: CellFact, tenant: str, *, own: bool = False) -> BroadcastFact:
    """A tenant's PLMN in a cell, with a tracking area and identity of its own if ``own``."""
    slices = SLICES if cell.rat is Rat.NR else ()
    primary = PLMNS[tenant] == cell.primary_plmn
    length = 24 if cell.rat is Rat.NR else 20
    identity = OwnIdentity(900 + TENANTS.index(tenant), 700, length, cell.local_id) if own else None
    return BroadcastFact(STATION, cell.cell, cell.rat, PLMNS[tenant], slices, primary, (tenant,), identity)


def share(cell: CellFact, tenant: str, resource: ResourceType = ResourceType.PRB, *more_plmns: str) -> ShareFact:
    plmns = (PLMNS[tenant], *more_plmns)
    slices = SLICES if cell.rat is Rat.NR else ()
    divided = "" if cell.rat is Rat.NR and resource is ResourceType.DRB else cell.cell
    return ShareFact(STATION, divided, cell.rat, resource, plmns, slices, 5, 20, 80, (tenant,))


def neighbour(cell: CellFact, number: int = 1, *, handover: bool = True) -> NeighbourFact:
    """A relation to the like cell of another station."""
    other = f"PE-CUS-{number:04d}"
    ssb, tci = (ssb_next_to(cell.arfcn_dl), None) if cell.rat is Rat.NR else (None, (160042 << 17) + number)
    return NeighbourFact(
        *(STATION, cell.cell, cell.rat, other, cell.cell, cell.rat, cell.band, ssb, tci, handover),
        external=external(cell, number),
    )


def external(cell: CellFact, number: int) -> ExternalCell:
    """What is known of a cell of another station."""
    length = 24 if cell.rat is Rat.NR else 20
    codes = (cell.local_id, cell.pci, cell.arfcn_dl, cell.arfcn_ul)
    return ExternalCell(160000 + number, length, PLMNS["movistar"], *codes, cell.primary_plmn)


def anchor(cell: CellFact, nr: CellFact) -> NeighbourFact:
    """An LTE cell as the anchor of an NR cell of another station."""
    ssb = ssb_next_to(nr.arfcn_dl)
    return NeighbourFact(
        *(STATION, cell.cell, cell.rat, "PE-CUS-0003", nr.cell, nr.rat, nr.band, ssb, None, False),
        external=external(nr, 3),
    )


def anchored(cell: CellFact, lte: CellFact) -> NeighbourFact:
    """An NR cell that an LTE cell of another station anchors."""
    tci = (160003 << 17) + lte.pci
    there = ("PE-CUS-0003", lte.cell, lte.rat, lte.band)
    return NeighbourFact(STATION, cell.cell, cell.rat, *there, None, tci, True, True, external(lte, 3))


def peer(rat: Rat, interface: Interface = Interface.X2, peer_rat: Rat = Rat.LTE) -> PeerFact:
    """An end of X2 or Xn to a node of another station."""
    return PeerFact(STATION, rat, interface, "PE-CUS-0003", peer_rat, "10.64.4.76", 999, "10.64.4.77")


def link(kind: LinkKind, tenant: str, name: str = "", node: Rat | None = None) -> CoreLinkFact:
    """A link of the node of its core's technology, if no other is named."""
    number = TENANTS.index(tenant) + 1
    return CoreLinkFact(
        STATION,
        node or kind.core,
        kind,
        name or f"{tenant}-{kind.lower()}-lima",
        (PLMNS[tenant],),
        "10.64.4.76",
        1000 + number,
        "" if kind is LinkKind.S1U else f"10.{number}.1.11",
        (f"10.{number}.9.0/28",) if kind is LinkKind.S1U else (f"10.{number}.1.11/32",),
        (tenant,),
    )


def station_facts(cells: Sequence[CellFact], tenants: Sequence[str] = TENANTS, own: Collection[str] = ()) -> list[Fact]:
    """All cells with all tenants, their shares and links; tenants in ``own`` have identities of their own."""
    facts: list[Fact] = [station(), *cells]
    for each in cells:
        facts += [
            fact for tenant in tenants for fact in (broadcast(each, tenant, own=tenant in own), share(each, tenant))
        ]
        facts += [neighbour(each), neighbour(each, 2, handover=False)]
        facts.append(anchor(each, NR_CELLS[0]) if each.rat is Rat.LTE else anchored(each, LTE_CELLS[0]))
    for tenant in tenants:
        if any(each.rat is Rat.LTE for each in cells):
            facts += [link(LinkKind.S1C, tenant), link(LinkKind.S1U, tenant)]
        if any(each.rat is Rat.NR for each in cells):
            facts += [link(LinkKind.NGC, tenant), link(LinkKind.NGU, tenant)]
    rats = sorted({each.rat for each in cells})
    facts += [peer(rat) for rat in rats]
    facts += [peer(Rat.NR, Interface.XN, Rat.NR) for rat in rats if rat is Rat.NR]
    return facts


def creates(profiles: tuple[str, ...], rendered: Rendered, but: Collection[str] = ()) -> list[Edit]:
    """Edits that make all that is rendered from nothing, but for what is there."""
    specs = root_spec(profiles).at
    return [
        Edit(op=Op.CREATE, path=path, after=spec.begun(path, rendered.tree), owners=rendered.owners[path])
        for path in rendered.tree
        if path not in but and (spec := specs(path)) is not None
    ]


#: Ends of every kind: of an eNB to an eNB and to a gNB, of a gNB to an eNB and to a gNB.
PEERS = (
    *(peer(Rat.LTE, Interface.X2, rat) for rat in Rat),
    peer(Rat.NR),
    peer(Rat.NR, Interface.XN, Rat.NR),
)

LTE_CELLS = (cell("B28-1", Rat.LTE, "B28", 1), cell("B40-1", Rat.LTE, "B40", 2))
NR_CELLS = (cell("n78-1", Rat.NR, "n78", 1), cell("n28-1", Rat.NR, "n28", 2))


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Facts of a station with any of these cells, tenants, shares and links, in any order."""
    chosen = draw(st.lists(st.sampled_from(LTE_CELLS + NR_CELLS), unique=True, max_size=4))
    cells = [planned(each) if draw(st.booleans()) else each for each in chosen]
    found: list[Fact] = [station(), *cells]
    for each in cells:
        for tenant in draw(st.lists(st.sampled_from(TENANTS), unique=True)):
            own = PLMNS[tenant] != each.primary_plmn and draw(st.booleans())
            found.append(broadcast(each, tenant, own=own))
            resources = draw(st.lists(st.sampled_from(ResourceType), unique=True, max_size=2))
            found += [share(each, tenant, resource) for resource in resources]
        found += [neighbour(each, number) for number in range(draw(st.integers(0, 2)))]
        found += [anchor(each, NR_CELLS[0])] if each.rat is Rat.LTE and draw(st.booleans()) else []
    pairs = st.tuples(st.sampled_from(LinkKind), st.sampled_from(TENANTS))
    found += draw(st.lists(st.sampled_from(PEERS), unique=True))
    found += [link(kind, tenant) for kind, tenant in draw(st.lists(pairs, unique=True))]
    return draw(st.permutations(found))
