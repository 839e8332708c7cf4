"""A small language that selects stations and other devices: ``region=cusco|puno,rat=NR,PE-CUS-*``.

Conditions are joined by commas and must all hold; a condition is a key, ``=`` and one or
more values joined by ``|``, of which one must match. Values may contain ``*`` and ``?``. A condition without a key is
about the station's id, so ``*`` selects all stations. A condition after ``!`` leaves out what it matches
(``region=cusco,!PE-CUS-0150``). The key ``router`` selects routers (``router=RT-CUS-*``, ``region=cusco,router=*``) and
nothing else; ``function`` and ``pool`` do the same for functions and pools. The key ``device`` selects devices of any
kind by id (``device=PE-CUS-0042``), and only these: their routers are not included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import NamedTuple
from weakref import ref

from controller.inventory.source import suggest
from controller.models.errors import InputError
from controller.models.network import NAMED_KINDS, PROFILE_RATS, DeviceKind, Network, Rat

_Facets = dict[str, set[str]]

#: Longest selector in characters, and most conditions in one, since anybody who may read stations can send one.
LONGEST, MOST = 500, 20
#: Values of a key up to which all are named if none is similar.
_FEW = 8
#: Values of keys that are the same in each network.
_FIXED = {"rat": frozenset(one.value for one in Rat), "profile": frozenset(PROFILE_RATS)}
#: What no id, band or pattern has.
_ODD = re.compile(r"[\s=;&()'\"<>{}+\[\]]")


@dataclass(frozen=True)
class Condition:
    """One condition: a value of the station under ``key`` matches one of ``patterns``, or none if it excludes."""

    key: str
    patterns: tuple[str, ...]
    excludes: bool = False

    def among(self, values: Iterable[str]) -> set[str]:
        """Those of the values that match."""
        exact = {pattern for pattern in self.patterns if not _is_wild(pattern)}
        # A bracket stands for itself: the language has no sets of characters.
        wild = [translate(one.replace("[", "[[]")) for one in dict.fromkeys(self.patterns) if _is_wild(one)]
        if not wild:
            return exact & set(values)
        matches = re.compile("|".join(wild)).match
        return {value for value in values if value in exact or matches(value)}


def parse_selector(selector: str, placeholders: Collection[str] = ()) -> tuple[Condition, ...]:
    """Read a selector without a network.

    Args:
        selector: Its text.
        placeholders: Words in it in whose place any value may come.

    Raises:
        InputError: The selector can't be read; the message says where, and what would be right.
    """
    if len(selector) > LONGEST:
        raise InputError(f"the selector is {len(selector)} characters long, at most {LONGEST} are taken: use wildcards")
    conditions = []
    for said in selector.split(","):
        excludes, text = said.strip().startswith("!"), said.strip().removeprefix("!")
        key, _, values = text.partition("=") if "=" in text else ("station", "=", text)
        key = key.strip()
        patterns = tuple(value.strip() for value in values.split("|"))
        if key not in _FACETS:
            hint = suggest(key, _FACETS) or f"keys are {', '.join(_FACETS)}"
            raise InputError(f"selector {selector!r}: no such key: {key!r}; {hint}")
        if odd := next((value for value in patterns if _ODD.search(value)), ""):
            raise InputError(
                f"selector {selector!r}: {odd!r} has {_ODD.search(odd)[0]!r} in it, which no name has: "  # type: ignore[index]
                "conditions are joined by commas, values by |, as in region=cusco|puno,rat=NR; wildcards are * and ?"
            )
        if not all(patterns):
            raise InputError(
                f"selector {selector!r}: a value is missing in {text.strip()!r}; as in region=cusco,rat=NR"
            )
        conditions.append(Condition(key, patterns, excludes))
    if len(conditions) > MOST:
        raise InputError(f"selector {selector!r}: {len(conditions)} conditions, at most {MOST} are taken")
    for wrong in (*_unknown(conditions, placeholders), *_nothing_left(conditions, placeholders)):
        raise InputError(f"selector {selector!r}: {wrong}")
    return tuple(conditions)


def _unknown(conditions: Iterable[Condition], placeholders: Collection[str]) -> Iterator[str]:
    """Values of keys with a fixed vocabulary that are not in it, in words."""
    for condition in conditions:
        known = _FIXED.get(condition.key, frozenset())
        for pattern in condition.patterns if known else ():
            free = any(one in pattern for one in placeholders)
            if not free and not Condition(condition.key, (pattern,)).among(known):
                yield f"no such {condition.key}: {pattern!r}; {_among(pattern, sorted(known))}"


def _nothing_left(conditions: Iterable[Condition], placeholders: Collection[str]) -> Iterator[str]:
    """Why a selector selects nothing, whatever the network, in words."""
    # In the place of a whole condition, one with another key may come.
    conditions = [one for one in conditions if not any(word in text for word in placeholders for text in one.patterns)]
    kinds = [one.value for one in DeviceKind]
    named = sorted({one.key for one in conditions if not one.excludes and one.key in kinds})
    if len(named) > 1:
        yield f"it selects nothing: no {named[0]} is a {named[1]}; leave one of them out, or use device="
    for out in (one for one in conditions if one.excludes):
        if "*" in out.patterns and out.key in (*kinds, "device", "region", "site"):
            yield f"it selects nothing: !{out.key}=* leaves out all; as in region=cusco,!PE-CUS-0150"
        for one in conditions:
            if not one.excludes and one.key == out.key and set(one.patterns) <= set(out.patterns):
                what = f"{one.key}={'|'.join(one.patterns)}"
                yield f"it selects nothing: {what} is selected and left out; as in region=cusco,!PE-CUS-0150"


def select(network: Network, selector: str) -> tuple[str, ...]:
    """Sorted ids of the stations (or routers, functions, pools) that a selector matches; empty if none.

    ``tenant`` matches stations with a cell in the scope of one of the tenant's agreements, in force today or not;
    ``owner`` matches stations that are the tenant's own and not shared.

    Raises:
        InputError: The selector can't be read, or a value without wildcards is in no file.
    """
    conditions = parse_selector(selector)
    keys = {condition.key for condition in conditions}
    kinds = {kind for kind in DeviceKind if kind.value in keys} or {*DeviceKind}.difference(NAMED_KINDS)
    chosen = {one for one, kind in network.device_kinds.items() if kind in kinds or "device" in keys}
    for condition in conditions:
        known, of_station, values = _facet(network, condition.key)
        for pattern in condition.patterns:
            if not _is_wild(pattern) and pattern not in known:
                hint = hint_at(network, condition.key, pattern, known)
                raise InputError(
                    f"selector {selector!r}: no such {condition.key}: {pattern!r}{f'; {hint}' if hint else ''}"
                )
        matching = condition.among(values)
        chosen = {
            station for station in chosen if condition.excludes is matching.isdisjoint(of_station.get(station, ()))
        }
    return tuple(sorted(chosen))


def _is_wild(pattern: str) -> bool:
    return not {"*", "?"}.isdisjoint(pattern)


class _Facet(NamedTuple):
    """A key of the language: its values in the network files, those of each station, and those of all stations."""

    known: set[str]
    of_station: _Facets
    values: frozenset[str]


#: Facets of the networks in use, by identity, since networks never change and comparing them costs too much.
_KEPT: dict[int, tuple[ref[Network], dict[str, _Facet]]] = {}


def _facet(network: Network, key: str) -> _Facet:
    number = id(network)
    kept = _KEPT.get(number)
    if kept is None:
        kept = _KEPT[number] = ref(network, lambda _: _KEPT.pop(number, None)), {}
    if key not in kept[1]:
        known, of_station = _FACETS[key](network)
        kept[1][key] = _Facet(known, of_station, frozenset().union(*of_station.values()))
    return kept[1][key]


def hint_at(network: Network, key: str, value: str, known: Iterable[str]) -> str:
    """A hint about a value that is in no file, or is not a managed router; empty if there is none."""
    if key == "router" and any(router.id == value for router in network.routers):
        return "it is in the network files, but not managed, as its host_key is not known"
    return _among(value, sorted(known))


def _among(value: str, names: Sequence[str]) -> str:
    return suggest(value, names) or (f"it is one of {', '.join(names)}" if 0 < len(names) <= _FEW else "")


def select_with_ways(network: Network, selector: str) -> tuple[str, ...]:
    """Sorted ids of the devices that a selector matches, and of the devices that its stations need.

    These are the managed routers of their sites, and the endpoints of their central units. A function includes the
    stations that live in it.

    Raises:
        InputError: As ``select``.
    """
    chosen = select(network, selector)
    if any(condition.key == "device" for condition in parse_selector(selector)):
        return chosen
    stations = {station for device in chosen for station in network.stations_in.get(device, (device,))}
    stations &= network.station_by_id.keys()
    sites = {network.site_of(one) for one in stations - network.central_units.keys()} & network.routers_at.keys()
    routers = {router for site in sites for router in network.routers_at[site]}
    units = {unit for station in stations for unit in network.units_above.get(station, ())}
    return tuple(sorted({*chosen, *routers, *units}))


def _by_region(network: Network) -> tuple[set[str], _Facets]:
    return {region.id for region in network.regions}, {d: {network.region_of(d)} for d in network.device_kinds}


def _by_site(network: Network) -> tuple[set[str], _Facets]:
    return {site.id for site in network.sites}, {d: set(network.sites_behind(d)) for d in network.device_kinds}


def _by_router(network: Network) -> tuple[set[str], _Facets]:
    return set(network.router_by_id), {router: {router} for router in network.router_by_id}


def _by_device(network: Network) -> tuple[set[str], _Facets]:
    return set(network.device_kinds), {device: {device} for device in network.device_kinds}


def _by_function(network: Network) -> tuple[set[str], _Facets]:
    return set(network.function_by_id), {function: {function} for function in network.function_by_id}


def _by_pool(network: Network) -> tuple[set[str], _Facets]:
    return set(network.pool_by_id), {pool: {pool} for pool in network.pool_by_id}


def _by_station(network: Network) -> tuple[set[str], _Facets]:
    return set(network.station_by_id), {station.id: {station.id} for station in network.stations}


def _by_profile(network: Network) -> tuple[set[str], _Facets]:
    return {*_FIXED["profile"]}, {station.id: set(station.profiles) for station in network.stations}


def _by_rat(network: Network) -> tuple[set[str], _Facets]:
    return {*_FIXED["rat"]}, {s: {cell.rat.value for cell in cells} for s, cells in network.cells_by_station.items()}


def _by_band(network: Network) -> tuple[set[str], _Facets]:
    found = {station: {cell.band for cell in cells} for station, cells in network.cells_by_station.items()}
    return set().union(*found.values()), found


def _by_tenant(network: Network) -> tuple[set[str], _Facets]:
    found: _Facets = {}
    for agreement in network.agreements:
        for cell in network.cells_of(agreement):
            found.setdefault(cell.station, set()).add(agreement.tenant)
    cells = dict(found)
    for function, known in network.function_by_id.items():
        tenants = {one for station in network.stations_served[function] for one in cells.get(station, ())}
        for device in filter(None, (function, network.unit_of.get(function))):
            found[device] = tenants if known.owner is None else tenants & {known.owner}
    return set(network.tenant_by_id), found


def _by_owner(network: Network) -> tuple[set[str], _Facets]:
    owners = {one.id: one.owner for one in network.stations} | {one.id: one.owner for one in network.functions}
    return set(network.tenant_by_id), {device: {owner} for device, owner in owners.items() if owner is not None}


#: Key → (all values of the network, values of each station).
_FACETS: dict[str, Callable[[Network], tuple[set[str], _Facets]]] = {
    "region": _by_region,
    "site": _by_site,
    "tenant": _by_tenant,
    "owner": _by_owner,
    "rat": _by_rat,
    "band": _by_band,
    "profile": _by_profile,
    "station": _by_station,
    "router": _by_router,
    "function": _by_function,
    "pool": _by_pool,
    "device": _by_device,
}
