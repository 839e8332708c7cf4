"""One message for several notices of incidents, or calls, that are due to one receiver together. Pure.

It lists them by the cause that they have in common, with how many incidents, stations and sites; the worst first. It is
made of what goes to one side alone, so that it discloses nothing that this does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from controller.intent.incident_news import TELLING
from controller.models.alarm import PerceivedSeverity
from controller.models.approval import Gathered, GatheredCause, GatheredPlaces, Notice, ToldNotice
from controller.models.incident import worst
from controller.models.many import first_names
from controller.models.network import Network
from controller.models.on_call import CalledAlarm, CallMessage, GatheredCalls

#: Notices or alarms that a message repeats in full, and stations and sites that it names of each cause.
NAMED, PLACES = 20, 8
#: How people list all notices, and all calls.
LISTING, CALLS_LISTING = "minka notices", "minka oncall list"
_ORDER = {severity: place for place, severity in enumerate(PerceivedSeverity)}


class _Item(NamedTuple):
    """What a message says of one incident or alarm.

    Attributes:
        what: Probable cause.
        severity: How grave it is; None where it says that something is over, or goes on elsewhere.
        tenants: For the host, tenants whom it concerns: not all that share the cells suffer from each fault.
    """

    what: str
    severity: PerceivedSeverity | None
    incident: str
    stations: tuple[str, ...]
    tenants: tuple[str, ...]


class _Side(NamedTuple):
    """Whom a message is for, and by which network it counts places."""

    name: str
    network: Network


def gather(listed: Sequence[Notice], network: Network) -> Gathered:
    """What these notices of one side come to.

    Args:
        listed: The notices, in the order in which they were written.
        network: Where stations are.
    """
    side = _Side(listed[0].tenant, network)
    items = [_Item(one.what, _standing(one), one.incident, one.stations, one.tenants) for one in listed]
    causes = _causes(items, side)
    ordered = [listed[nth] for nth in _gravest_first(items, causes)]
    kinds = Counter(one.kind.value for one in listed)
    made = Gathered(
        side=side.name,
        kinds=dict(sorted(kinds.items())),
        severity=_worst(items),
        places=_places(items, side),
        causes=causes,
        incidents=tuple(dict.fromkeys(one.incident for one in ordered)),
        notices=tuple(map(ToldNotice.of, ordered[:NAMED])),
        more=max(0, len(listed) - NAMED),
        listing=LISTING,
        text="",
    )
    counts = ", ".join(f"{count} {kind.removeprefix('incident-')}" for kind, count in made.kinds.items())
    lines = [
        *_head(f"{made.places.incidents} incidents ({counts})", made.severity, made.places, causes),
        *(f"{one.incident} {one.kind.value}: {one.text}" for one in made.notices),
        *([f"and {made.more} more: {LISTING}"] if made.more else []),
    ]
    return made.model_copy(update={"text": "\n".join(lines)})


def gather_calls(message: CallMessage, called: Sequence[CalledAlarm], network: Network) -> GatheredCalls:
    """What a message of several calls comes to.

    Args:
        message: The message.
        called: The alarms that it is about, each once.
        network: Where stations are.
    """
    call = message.call
    side = _Side(call.side, network)
    items = [
        _Item(one.what, one.severity, one.incident, (one.station,) if one.station else (), one.tenants)
        for one in called
    ]
    causes = _causes(items, side)
    ordered = [called[nth] for nth in _gravest_first(items, causes)]
    made = GatheredCalls(
        id=message.message,
        side=side.name,
        contact=call.contact,
        severity=_worst(items),
        places=_places(items, side),
        causes=causes,
        incidents=tuple(dict.fromkeys(one.incident for one in ordered)),
        alarms=tuple(one.alarm for one in ordered),
        first=tuple(ordered[:NAMED]),
        more=max(0, len(ordered) - NAMED),
        listing=CALLS_LISTING,
        text="",
    )
    first = f"{call.kind} {message.message} of {side.name} to {call.contact}: {len(ordered)} alarms in "
    lines = [
        *_head(f"{first}{_incidents(made.places)}", made.severity, made.places, causes),
        *map(_called, made.first),
        *([f"and {made.more} more: {CALLS_LISTING}"] if made.more else []),
        f"to acknowledge all of this message: minka oncall acknowledge {message.message}",
    ]
    return made.model_copy(update={"text": "\n".join(lines)})


def _standing(notice: Notice) -> PerceivedSeverity | None:
    """How grave a notice is; None where it says that an incident is over, or goes on elsewhere."""
    return notice.severity if notice.kind in TELLING else None


def _causes(items: Sequence[_Item], side: _Side) -> tuple[GatheredCause, ...]:
    """Items by cause, the gravest first."""
    by_cause: dict[str, list[_Item]] = {}
    for one in items:
        by_cause.setdefault(one.what, []).append(one)
    causes = [
        GatheredCause(what=what, severity=_worst(its), places=_places(its, side)) for what, its in by_cause.items()
    ]
    return tuple(sorted(causes, key=lambda one: (_haste(one.severity), -one.places.incidents, one.what)))


def _gravest_first(items: Sequence[_Item], causes: Sequence[GatheredCause]) -> list[int]:
    """Positions of items: the gravest first, then by cause in the order of these."""
    place = {one.what: nth for nth, one in enumerate(causes)}
    return sorted(
        range(len(items)),
        key=lambda nth: (_haste(items[nth].severity), place[items[nth].what], items[nth].stations),
    )


def _worst(items: Iterable[_Item]) -> PerceivedSeverity | None:
    found = [one.severity for one in items if one.severity is not None]
    return worst(found) if found else None


def _haste(severity: PerceivedSeverity | None) -> int:
    return len(_ORDER) if severity is None else _ORDER[severity]


def _places(items: Sequence[_Item], side: _Side) -> GatheredPlaces:
    network = side.network
    stations = sorted({station for one in items for station in one.stations})
    known = [one for one in stations if network.has_cells(one)]
    sites = sorted({network.station_by_id[one].site for one in known})
    return GatheredPlaces(
        incidents=len({one.incident for one in items}),
        stations=len(stations),
        named=tuple(stations[:PLACES]),
        sites=len(sites),
        regions=tuple(sorted({network.site_by_id[one].region for one in sites})),
        tenants=tuple(sorted({tenant for one in items for tenant in one.tenants})),
    )


def _head(
    first: str, severity: PerceivedSeverity | None, places: GatheredPlaces, causes: Iterable[GatheredCause]
) -> list[str]:
    """The head of a message for people: all in the first line, then each cause."""
    grave = f", worst {severity.value}" if severity is not None else ""
    lines = [f"{first}{grave}{_where(places)}", ""]
    for one in causes:
        how = "" if one.severity is None else f" ({one.severity.value})"
        lines.append(f"{one.what}{how}: {_incidents(one.places)}{_where(one.places)}")
    return [*lines, ""]


def _incidents(places: GatheredPlaces) -> str:
    return f"{places.incidents} incidents" if places.incidents != 1 else "1 incident"


def _called(one: CalledAlarm) -> str:
    where = " ".join(dict.fromkeys(filter(None, (one.station, one.object))))
    reason = f": {one.reason}" if one.reason else ""
    return f"{one.alarm} {one.what} ({one.severity.value}) since {one.since:%Y-%m-%d %H:%M} UTC at {where}{reason}"


def _where(places: GatheredPlaces) -> str:
    if not places.stations:
        return ""
    names = first_names([*places.named, *[""] * (places.stations - len(places.named))], PLACES)
    said = f" at {places.stations} station{'s' if places.stations != 1 else ''}: {names}"
    if places.sites:
        said += f"; {places.sites} site{'s' if places.sites != 1 else ''} in {', '.join(places.regions)}"
    return f"{said}; tenants {', '.join(places.tenants)}" if places.tenants else said
