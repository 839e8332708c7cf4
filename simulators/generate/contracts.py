"""The four tenants of the sample networks and the agreements they share them under.

Values of a real network file, kept as data. PLMNs are those of the Peruvian operators;
cores, slices and terms are invented.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from simulators.generate.places import REGIONS, Region, Zone

PLMN = {"movistar": "716-06", "claro": "716-10", "bitel": "716-15", "entel": "716-17"}

#: The host has no PLMN of its own: global ids of all nodes carry that of the tenant that is on air everywhere.
HOST_PLMN = PLMN["movistar"]

#: Carriers shared by everyone; band 2 is left out, since it is Claro's own (MORAN).
MOCN_BANDS = ("B4", "B8", "B28", "B40", "n78")
MORAN_BANDS = ("B2",)


def _zone(zone: Zone) -> tuple[str, ...]:
    return tuple(region.id for region in REGIONS if region.zone is zone)


@dataclass(frozen=True)
class Contract:
    """An agreement: no regions means everywhere, no rats means all."""

    id: str
    tenant: str
    regions: tuple[str, ...]
    terms: dict[str, Any]
    sharing: str = "MOCN"
    rats: tuple[str, ...] = ()

    def covers(self, region: Region, rat: str) -> bool:
        """Whether cells of this radio technology in the region fall under it."""
        return (not self.regions or region.id in self.regions) and (not self.rats or rat in self.rats)

    def as_file(self, regions: set[str]) -> dict[str, Any] | None:
        """The agreement as it stands in a network file that has only these regions; none if it is void there."""
        scope: dict[str, Any] = {"everywhere": True}
        if self.regions:
            kept = [region for region in self.regions if region in regions]
            if not kept:
                return None
            scope = {"regions": kept}
        scope["bands"] = list(MORAN_BANDS if self.sharing == "MORAN" else MOCN_BANDS)
        if self.rats:
            scope["rats"] = list(self.rats)
        return {"id": self.id, "tenant": self.tenant, "sharing": self.sharing, "scope": scope, **self.terms}


def _price(line: str, per: str, amount: str, **more: Any) -> dict[str, Any]:
    return {"id": line, "per": per, "amount": amount} | more


#: What tenants pay in soles, invented: on the coast for what is kept for them and what they carry, elsewhere for cells.
_COAST = [
    _price("kept", "percent-cell-month", "6.40"),
    _price("data", "gigabyte", "0.38", included=20_000),
    _price("voice", "gigabyte", "2.10", qos=[1]),
]
_MOUNTAINS = [
    _price("cells", "cell-month", "185.00"),
    _price("data", "gigabyte", "0.52", direction="down", included=5_000),
]
_JUNGLE = [_price("network", "month", "9500.00"), _price("cells", "cell-month", "240.50")]


def _terms(
    share: tuple[int, int, int] | None,
    validity: tuple[str, str | None],
    consents: str,
    sla: tuple[float, float],
    *,
    window: tuple[str, str, str] | None = None,
    prices: list[dict[str, Any]] = _MOUNTAINS,
) -> dict[str, Any]:
    """Terms of an agreement: share (dedicated, min, max), validity, consents (restore configure interrupt reduce).

    Below the availability that is promised, 5 % of the month's charges are given back, and 16 % a point below it.
    """
    terms: dict[str, Any] = {}
    if share:
        dedicated, least, most = share
        terms["shares"] = [{"resource": "PRB", "dedicated": dedicated, "min": least, "max": most}]
    start, end = validity
    terms["validity"] = {"start": start} | ({"end": end} if end else {})
    if window:
        days, opens, closes = window
        terms["windows"] = [{"days": days.split(), "start": opens, "end": closes}]
    terms["consents"] = dict(zip(("restore", "configure", "interrupt", "reduce"), consents.split(), strict=True))
    penalties = [
        {"below_percent": below, "credit_percent": credit} for below, credit in ((sla[0], 5), (sla[0] - 1, 16))
    ]
    terms["sla"] = {"availability_percent": sla[0], "restore_hours": sla[1], "penalties": penalties}
    terms["prices"] = {"currency": "PEN", "lines": deepcopy(prices)}  # a file has no references
    return terms


# Per region the guaranteed shares add up to 100 at most, with Entel in Cusco as well.
CONTRACTS = (
    Contract(
        "movistar-peru", "movistar", (),
        _terms((10, 25, 100), ("2024-01-01", "2033-12-31"), "standing standing notice approval", (99.5, 12.0),
               prices=_COAST),
    ),
    Contract(
        "claro-costa", "claro", _zone(Zone.COSTA),
        _terms((10, 30, 100), ("2024-03-01", "2034-02-28"), "standing standing approval approval", (99.7, 8.0),
               window=("mon tue wed thu", "00:30", "04:30"), prices=_COAST),
    ),
    Contract(
        "claro-sierra", "claro", _zone(Zone.SIERRA),
        _terms((5, 20, 80), ("2024-03-01", "2034-02-28"), "standing standing notice approval", (99.0, 24.0)),
    ),
    Contract(
        "claro-selva", "claro", ("loreto", "san-martin", "ucayali"),
        _terms((0, 15, 60), ("2025-01-01", None), "standing standing notice notice", (98.0, 72.0),
               window=("sat sun", "23:00", "05:00"), prices=_JUNGLE),
    ),
    Contract(
        "claro-1900", "claro", ("arequipa", "cusco", "lima", "piura"),
        _terms(None, ("2024-06-01", None), "standing standing approval approval", (99.5, 12.0)),
        sharing="MORAN",
    ),
    Contract(
        "bitel-norte", "bitel", ("lambayeque", "piura", "tumbes"),
        _terms((5, 20, 100), ("2024-07-01", "2030-06-30"), "standing standing notice approval", (99.0, 24.0),
               window=("tue thu", "01:00", "05:00"), prices=_COAST),
        rats=("LTE",),
    ),
    Contract(
        "bitel-sierra", "bitel", _zone(Zone.SIERRA),
        _terms((10, 20, 90), ("2024-07-01", "2030-06-30"), "standing standing notice approval", (98.5, 36.0)),
        rats=("LTE",),
    ),
    Contract(
        "bitel-selva", "bitel", ("amazonas", "madre-de-dios", "san-martin", "ucayali"),
        _terms((10, 25, 90), ("2025-01-01", None), "standing standing standing notice", (97.5, 72.0), prices=_JUNGLE),
        rats=("LTE",),
    ),
    Contract(
        "entel-costa-lte", "entel", _zone(Zone.COSTA),
        _terms((10, 25, 100), ("2024-01-01", "2031-12-31"), "standing standing notice approval", (99.5, 12.0),
               prices=_COAST),
        rats=("LTE",),
    ),
    Contract(
        "entel-costa-nr", "entel", _zone(Zone.COSTA),
        _terms((0, 20, 80), ("2025-04-01", None), "standing standing approval approval", (99.7, 8.0), prices=_COAST),
        rats=("NR",),
    ),
    Contract(
        "entel-sur", "entel", ("arequipa", "puno"),
        _terms((0, 20, 70), ("2025-01-01", None), "standing standing notice approval", (99.0, 24.0)),
    ),
)  # fmt: skip

#: Tenants that bring a plan of tracking areas and node ids of their own, by region, for the carriers that they share.
OWN_PLANS = {"tumbes": "bitel"}

#: What the demo adds: the fourth tenant onto all stations of Cusco.
ADD_ENTEL = Contract(
    "entel-cusco", "entel", ("cusco",),
    _terms((5, 20, 70), ("2025-06-01", None), "standing standing notice approval", (99.0, 24.0)),
)  # fmt: skip


def on_air(tenant: str, region: Region, rat: str) -> bool:
    """Whether the tenant shares the common carriers of this technology in the region."""
    return any(
        contract.tenant == tenant and contract.sharing == "MOCN" and contract.covers(region, rat)
        for contract in CONTRACTS
    )


def has_own_carrier(tenant: str, region: Region) -> bool:
    """Whether the tenant has carriers of its own (MORAN) in the region."""
    return any(
        contract.tenant == tenant and contract.sharing == "MORAN" and contract.covers(region, "LTE")
        for contract in CONTRACTS
    )


#: What security gateways protect of a tenant's packets; the others trust the way that the routers lead.
_PROTECTED = {"bitel": ["control", "user"], "claro": ["user"]}


def noc(side: str, name: str) -> dict[str, Any]:
    """The contact of a side: its NOC, by e-mail."""
    return {"id": "noc", "name": f"NOC of {name}", "email": f"noc@{side}.example"}


def tenants() -> list[dict[str, Any]]:
    """The tenants as they stand in a network file: each with its own VLAN, core pools and slice differentiators."""
    described = [
        ("movistar", "Movistar Perú", 1006, 6, [(1, "000601"), (3, "000603")]),
        ("claro", "Claro Perú", 1010, 10, [(1, "001001"), (2, "001002")]),
        ("bitel", "Bitel", 1015, 15, [(1, "001501")]),
        ("entel", "Entel Perú", 1017, 17, [(1, "001701"), (3, "001703")]),
    ]
    return [_tenant(*about) for about in described]


def _tenant(tenant: str, name: str, vlan: int, net: int, slices: list[tuple[int, str]]) -> dict[str, Any]:
    pools = {
        f"{kind}_pool": [
            {"id": f"{kind}-{city}", "address": f"10.{net}.{part}.{host}"}
            for host, city in enumerate(("lima", "arequipa"), 11)
        ]
        for part, kind in enumerate(("mme", "amf", "upf"), 1)
    }
    # Eight S-GWs in each city, in a network apart from the control plane's.
    pools["sgw_pool"] = [
        {"id": f"sgw-{city}", "prefix": f"10.{net}.{128 + part}.0/29"} for part, city in enumerate(("lima", "arequipa"))
    ]
    core: dict[str, Any] = {"vlan": vlan, **pools}
    if tenant in _PROTECTED:
        core["security_gateway"] = {"address": f"10.{net}.7.1", "protects": _PROTECTED[tenant]}
    return {
        "id": tenant,
        "name": name,
        "plmns": [PLMN[tenant]],
        "slices": [{"sst": sst, "sd": sd} for sst, sd in slices],
        "core": core,
        "contacts": [noc(tenant, name)],
    }
